import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mariadb';
import { acceptsConnections } from '../../cli/accepts-connections.ts';
import { eventually } from '../doubles/eventually.ts';
import { freePort } from '../doubles/free-port.ts';
import { needProgram, type ServerProcess, startServer } from './server-process.ts';

export interface MariadbServer extends ServerProcess {
  readonly port: number;
  readonly socket: string;
  /** Certificate of the server, which vouches for itself. */
  readonly caFile: string;
  /** Statements as the server's root, one after the other. */
  run(...statements: readonly string[]): Promise<void>;
}

const FOLDERS = ['/usr/sbin', '/usr/bin'];

/** MariaDB with databases of its own in `directory`, on the loopback interface and a socket, with TLS. */
export async function startMariadb(directory: string): Promise<MariadbServer> {
  const data = join(directory, 'data');
  const socket = join(directory, 'socket');
  const user = `--user=${userInfo().username}`;
  const install = needProgram('mariadb-install-db', 'mariadb-server', FOLDERS);
  const file = needProgram('mariadbd', 'mariadb-server', FOLDERS);
  mkdirSync(directory, { recursive: true });
  const how = ['--no-defaults', `--datadir=${data}`, user, '--auth-root-authentication-method=normal'];
  await promisify(execFile)(install, [...how, '--skip-test-db']);
  const { key, caFile } = makeCertificate(directory);
  const port = await freePort();
  const server = await startServer({
    file,
    args: [
      '--no-defaults',
      user,
      `--datadir=${data}`,
      `--socket=${socket}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      '--skip-name-resolve',
      '--innodb-buffer-pool-size=16M',
      `--ssl-cert=${caFile}`,
      `--ssl-key=${key}`,
    ],
    isReady: () => acceptsConnections(port),
  });
  const run = async (...statements: readonly string[]): Promise<void> => {
    const connection = await eventually(
      'MariaDB to take connections',
      () => createConnection({ socketPath: socket, user: 'root' }),
      20_000,
    );
    for (const statement of statements) await connection.query(statement);
    await connection.end();
  };
  return { ...server, port, socket, caFile, run };
}

function makeCertificate(directory: string): { readonly key: string; readonly caFile: string } {
  const key = join(directory, 'server.key');
  const caFile = join(directory, 'server.pem');
  const settings = join(directory, 'server.cnf');
  writeFileSync(
    settings,
    '[req]\nprompt=no\ndistinguished_name=dn\nx509_extensions=v3\n[dn]\nCN=127.0.0.1\n[v3]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:true\n',
  );
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1'];
  execFileSync(
    needProgram('openssl', 'openssl'),
    ['req', '-x509', ...kind, '-config', settings, '-keyout', key, '-out', caFile],
    { stdio: 'pipe' },
  );
  return { key, caFile };
}
