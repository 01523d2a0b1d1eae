import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { needProgram } from '../servers/server-process.ts';

/** Makes a key and a certificate for `localhost`, and for no other name, that nobody vouches for but itself. */
export function makeCertificate(folder: string): { readonly certificate: string; readonly key: string } {
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  const openssl = needProgram('openssl', 'openssl');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync(openssl, ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', certificate], {
    stdio: 'pipe',
  });
  return { certificate, key };
}
