import { constants, createPrivateKey, type KeyObject, sign, X509Certificate } from 'node:crypto';
import { base64url, bytesOf } from '../protocol/encoding.ts';
import { certificateStatement, type InstallationPin, MAX_CHAIN } from '../protocol/enrolment.ts';
import { CoPilotError } from '../protocol/errors.ts';
import type { EnrolmentWay } from './enrolment-way.ts';

/** PEM: the certificate, then those between it and its authority; its key. A proxy's file is both. */
export interface CertificateFiles {
  readonly certificates: string;
  readonly key: string;
}

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;
const KEY = /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END (?:[A-Z]+ )?PRIVATE KEY-----/;

/** Enrols with a client certificate. The files are read for each attempt: whoever renews them does so beside us. */
export function certificateWay(pin: InstallationPin, read: () => Promise<CertificateFiles>): EnrolmentWay {
  return {
    ...pin,
    async credential(fields) {
      const { certificates, key } = partsOf(await read());
      return {
        method: 'x509',
        chain: certificates.map(({ raw }) => base64url(raw)),
        signature: base64url(signed(key, bytesOf(certificateStatement(fields)))),
      };
    },
  };
}

function partsOf(files: CertificateFiles): { certificates: X509Certificate[]; key: KeyObject } {
  try {
    const certificates = (files.certificates.match(BLOCK) ?? []).map((pem) => new X509Certificate(pem));
    const key = createPrivateKey(KEY.exec(files.key)?.[0] ?? '');
    if (certificates[0]?.checkPrivateKey(key) !== true) throw new Error('the key is of another certificate');
    if (certificates.length > MAX_CHAIN) throw new Error(`there are more than ${MAX_CHAIN} certificates`);
    return { certificates, key };
  } catch (cause) {
    throw new CoPilotError(
      'ENROLMENT_REFUSED',
      'the files do not hold a certificate and its key, unencrypted, in PEM',
      { cause },
    );
  }
}

/** By the kind of key (docs/protocol.md, E-17). */
function signed(key: KeyObject, data: Uint8Array): Uint8Array {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return sign(null, data, key);
    case 'ec':
      return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' });
    default:
      return sign('sha256', data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 });
  }
}
