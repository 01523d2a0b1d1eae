import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { CoPilotError } from '../protocol/errors.ts';

const BLOCK = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/**
 * Trusts the authorities in a file of PEM beside those that Node comes with, in every TLS connection of this thread: enrolment, bus and
 * files. Throws `INVALID_REQUEST` where it holds none.
 */
export function trustAuthorities(path: string): void {
  try {
    const own = readFileSync(path, 'utf8').match(BLOCK) ?? [];
    if (own.length === 0) throw new Error('there is no PEM in it');
    // Node takes what is none in silence.
    for (const pem of own) new X509Certificate(pem);
    setDefaultCACertificates([...getCACertificates('default'), ...own]);
  } catch (cause) {
    throw new CoPilotError('INVALID_REQUEST', `--ca: ${path} holds no certificates that can be read`, {
      cause,
    });
  }
}
