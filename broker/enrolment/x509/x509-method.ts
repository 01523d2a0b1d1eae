import { constants, type KeyObject, verify } from 'node:crypto';
import { bytesOf, fromBase64url } from '../../../protocol/encoding.ts';
import { certificateStatement, type CertificateCredential } from '../../../protocol/enrolment.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Identity } from '../../../protocol/generated/types.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { type EnrolmentMethod, type Judgement, refused } from '../method.ts';
import { ownerName } from '../owner-name.ts';
import { createAuthorityDirectory } from './authority-directory.ts';
import { readCertificate } from './certificate.ts';
import { judgePath, type PathPolicy } from './path.ts';

/** Certificates of which authorities enrol agents, and as whom. */
export interface X509Configuration extends PathPolicy {
  /** Files of authorities and of revocation lists. */
  readonly directory: string;
  /** The first that fits decides; whom none fits is refused. */
  readonly rules: readonly X509Rule[];
}

export interface X509Rule {
  /** The subject as the log shows it; `,*` at the end stands for all below it. Everybody where it is left out. */
  readonly subject?: string;
  /** The subject of the trusted authority; any where it is left out. */
  readonly authority?: string;
  /** A name of its own for the owner. */
  readonly owner?: string;
  readonly site: string;
  readonly tier: Identity['tier'];
}

const REALM = 'x509';

/** Certificates: whoever signs our challenge with the key of one is its subject at its authority. */
export function createX509Method(
  configuration: X509Configuration,
  runtime: Pick<Runtime, 'clock' | 'crypto' | 'log'>,
): EnrolmentMethod<CertificateCredential> {
  const authorities = createAuthorityDirectory(configuration.directory, runtime);

  function known(subject: string, authority: string): Judgement {
    const rule = configuration.rules.find((each) => fits(each, subject, authority));
    if (rule === undefined) return refused(`no rule fits ${subject} of ${authority}`);
    const { site, tier } = rule;
    // Two authorities may have made one name.
    const owner = rule.owner ?? ownerName(runtime.crypto, REALM, `${authority}\n${subject}`);
    return { kind: 'known', terms: { owner, site, tier } };
  }

  return {
    async judge({ chain, signature }, fields) {
      const trusted = await authorities();
      try {
        const certificates = chain.map((text) => readCertificate(fromBase64url(text) ?? new Uint8Array()));
        const key = certificates[0]?.x509.publicKey;
        const proof = fromBase64url(signature) ?? new Uint8Array();
        if (key === undefined || !isSignedBy(key, bytesOf(certificateStatement(fields)), proof))
          return refused('the key of the certificate did not sign the challenge');
        const judged = judgePath(certificates, trusted, configuration, runtime.clock.wallMs());
        if (judged.kind === 'invalid') return refused(judged.reason);
        return known(judged.owner.subjectText, judged.anchor.subjectText);
      } catch (caught) {
        if (caught instanceof CoPilotError) throw caught;
        return refused(`a certificate cannot be used: ${caught instanceof Error ? caught.message : ''}`);
      }
    },
  };
}

function fits({ subject, authority }: X509Rule, of: string, at: string): boolean {
  if (authority !== undefined && authority !== at) return false;
  if (subject === undefined) return true;
  return subject.endsWith(',*') ? of.startsWith(subject.slice(0, -1)) : of === subject;
}

/** By the kind of key (docs/protocol.md, E-17). */
function isSignedBy(key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return verify(null, data, key, signature);
    case 'ec':
      return verify('sha256', data, { key, dsaEncoding: 'ieee-p1363' }, signature);
    default: {
      const padding = constants.RSA_PKCS1_PSS_PADDING;
      return verify('sha256', data, { key, padding, saltLength: 32 }, signature);
    }
  }
}
