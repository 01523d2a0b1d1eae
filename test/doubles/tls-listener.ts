import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { XmppListener } from '../../cli/xmpp-server.ts';
import { needProgram } from '../servers/server-process.ts';

/** With a certificate for `localhost`, and for no other name, that is believed in this process from now on. */
export function tlsListener(
  folder: string,
  ports: { readonly bus: number; readonly direct: number },
): XmppListener {
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  mkdirSync(folder, { recursive: true });
  const openssl = needProgram('openssl', 'openssl');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync(openssl, ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', certificate], {
    stdio: 'pipe',
  });
  setDefaultCACertificates([...getCACertificates('default'), readFileSync(certificate, 'utf8')]);
  return { kind: 'tls', host: '127.0.0.1', port: ports.bus, directPort: ports.direct, certificate, key };
}
