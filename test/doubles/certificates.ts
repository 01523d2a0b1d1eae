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

export interface WantedList {
  readonly issuer: Issued;
  readonly file: string;
  readonly revoked?: readonly number[];
  readonly days?: number;
  readonly isDer?: boolean;
}

/** Makes lists of revoked certificates with OpenSSL, in a folder of the test's. */
export function createListMaker(folder: string): (wanted: WantedList) => void {
  const openssl = needProgram('openssl', 'openssl');
  const configuration = join(folder, 'lists.cnf');
  const database = join(folder, 'index.txt');
  writeFileSync(configuration, `[ca]\ndefault_ca=ours\n[ours]\ndatabase=${database}\ndefault_md=sha256\n`);
  return ({ issuer, file, revoked = [], days = 30, isDer = false }) => {
    const lines = revoked.map((serial) => {
      const number = serial.toString(16).toUpperCase().padStart(2, '0');
      return `R\t400101000000Z\t250101000000Z\t${number}\tunknown\t/CN=${number}\n`;
    });
    writeFileSync(database, lines.join(''));
    const signed = ['-cert', issuer.certificateFile, '-keyfile', issuer.keyFile];
    const args = ['ca', '-config', configuration, '-gencrl', ...signed, '-crldays', String(days)];
    const pem = execFileSync(openssl, args, { stdio: 'pipe' });
    const form = ['crl', '-outform', isDer ? 'DER' : 'PEM', '-out', file];
    execFileSync(openssl, form, { input: pem, stdio: ['pipe', 'pipe', 'pipe'] });
  };
}

/** Makes certificates with OpenSSL, in a folder of the test's. */
export function createIssuer(folder: string): (wanted: Wanted) => Issued {
  const openssl = needProgram('openssl', 'openssl');
  const configuration = join(folder, 'openssl.cnf');
  writeFileSync(configuration, '[req]\ndistinguished_name=dn\n[dn]\n[names]\nCN=elsewhere\n');
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
