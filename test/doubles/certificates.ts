import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { needProgram } from '../servers/server-process.ts';

/** A certificate with its key, as files of PEM and as text. */
export interface Issued {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly pem: string;
  readonly key: string;
}

export interface Wanted {
  /** As `openssl req -subj` takes it: `/DC=org/CN=name`. */
  readonly subject: string;
  /** Signs itself where it is left out. */
  readonly issuer?: Issued;
  /** As `openssl req -addext` takes them. */
  readonly extensions?: readonly string[];
  readonly algorithm?: readonly string[];
  readonly serial?: number;
  readonly days?: number;
}

export const AUTHORITY = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
const EC = ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

/** Makes certificates with OpenSSL, in a folder of the test's. */
export function createIssuer(folder: string): (wanted: Wanted) => Issued {
  const openssl = needProgram('openssl', 'openssl');
  const configuration = join(folder, 'openssl.cnf');
  writeFileSync(configuration, '[req]\ndistinguished_name=dn\n[dn]\n');
  let made = 0;
  return ({ subject, issuer, extensions = [], algorithm = EC, serial, days = 30 }) => {
    made += 1;
    const certificateFile = join(folder, `${made}.pem`);
    const keyFile = join(folder, `${made}.key`);
    const signed = issuer === undefined ? [] : ['-CA', issuer.certificateFile, '-CAkey', issuer.keyFile];
    const added = extensions.flatMap((extension) => ['-addext', extension]);
    const what = ['-subj', subject, '-days', String(days), '-set_serial', String(serial ?? made)];
    const files = ['-config', configuration, '-keyout', keyFile, '-out', certificateFile];
    const args = ['req', '-x509', '-nodes', '-newkey', ...algorithm, ...what, ...files, ...signed, ...added];
    execFileSync(openssl, args, { stdio: 'pipe' });
    const [pem, key] = [readFileSync(certificateFile, 'utf8'), readFileSync(keyFile, 'utf8')];
    return { certificateFile, keyFile, pem, key };
  };
}
