import { existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { CoPilotError } from '../../protocol/errors.ts';
import { DATABASES } from '../backup/role-snapshot.ts';
import { isLoopback } from '../configuration/safe-address.ts';
import { askRole } from '../connection.ts';
import {
  frameworkRolesIn,
  generatedFile,
  type Installation,
  type Role,
  ROLES,
  roleDirectory,
  unreadSettings,
} from '../installation.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

const OF_OTHERS = 0o077;
const LARGE_LOG = 256 * 1024 ** 2;
const DAY_MS = 24 * 3600 * 1000;

/** The status a role answers; undefined where it does not run. */
export type Running = ReadonlyMap<Role, Readonly<Record<string, unknown>>>;

export async function askAll(directory: string): Promise<Running> {
  const answers = await Promise.all(
    ROLES.map(async (role) => {
      const path = role === 'local' ? '/v1/snapshot' : '/v1/status';
      const answer = await askRole<Readonly<Record<string, unknown>>>(directory, role, 'GET', path).catch(
        (caught: unknown) => {
          if (caught instanceof CoPilotError && caught.code === 'UNREACHABLE') return undefined;
          throw caught;
        },
      );
      return answer === undefined ? [] : [[role, answer] as const];
    }),
  );
  return new Map(answers.flat());
}

export function checkRoles(running: Running): readonly Finding[] {
  return ROLES.map((role) =>
    running.has(role)
      ? ok(role, 'runs and answers')
      : warning(role, 'does not run', `co-pilot up, or co-pilot up --role ${role}`),
  );
}

export async function checkPermissions(directory: string): Promise<readonly Finding[]> {
  const own = process.getuid?.();
  const findings = await Promise.all(
    ROLES.flatMap((role) => [
      permission(roleDirectory(directory, role), 'chmod 700', own),
      permission(generatedFile(directory, role), 'chmod 600', own),
    ]),
  );
  const wrong = findings.flat();
  return wrong.length > 0 ? wrong : [ok('permissions', 'keys and data are their owner’s alone')];
}

/** Nothing where a file of ours is its owner's alone. */
export async function permission(
  path: string,
  command: string,
  own: number | undefined,
): Promise<readonly Finding[]> {
  const { mode, uid } = await stat(path);
  const what = 'permissions';
  if ((mode & OF_OTHERS) !== 0)
    return [problem(what, `others may use ${path} (${(mode & 0o777).toString(8)})`, `${command} ${path}`)];
  return own === undefined || uid === own || own === 0
    ? []
    : [warning(what, `${path} is another user's`, 'run this as the user that runs the part')];
}

/** A part that runs has its port; one that does not needs it free. */
export async function checkPorts(
  { configurations }: Installation,
  running: Running,
): Promise<readonly Finding[]> {
  const { broker, local, bridge } = configurations;
  const ports: readonly (readonly [Role, string, string, number | undefined])[] = [
    ['broker', 'bus', broker.host, broker.busPort],
    ['broker', 'enrolment', broker.host, broker.enrolmentPort],
    ['bridge', 'bridge', bridge.host, bridge.port],
    ['local', 'intake', '127.0.0.1', local.intake?.http?.port],
    ...ROLES.map(
      (role) => [role, `metrics of ${role}`, '127.0.0.1', configurations[role].metrics?.port] as const,
    ),
  ];
  const findings = await Promise.all(
    ports.map(async ([role, name, host, port]) => {
      if (port === undefined) return [];
      const what = `port ${port} (${name})`;
      const isFree = await canListen(host, port);
      return [portFinding(what, role, running.has(role), isFree)];
    }),
  );
  return findings.flat();
}

function portFinding(what: string, role: Role, isRunning: boolean, isFree: boolean): Finding {
  if (isRunning)
    return isFree ? problem(what, 'nobody listens there', `restart the ${role}`) : ok(what, 'in use, by us');
  return isFree
    ? ok(what, 'free')
    : problem(what, 'another program listens there', 'stop it, or set another port');
}

/** What an earlier version read from elsewhere. */
export async function checkUnread(directory: string): Promise<readonly Finding[]> {
  const unread = await unreadSettings(directory);
  return [...unread].map(([file, keys]) =>
    warning('configuration', `${file} has ${keys.join(', ')}, which is not read`, 'set it in co-pilot.yaml'),
  );
}

function canListen(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** What does not run is opened for reading; what runs has its files to itself and answers for them. */
export function checkDatabases(directory: string, running: Running): readonly Finding[] {
  return ROLES.flatMap((role) =>
    DATABASES[role].map((name) => {
      const path = join(roleDirectory(directory, role), name);
      if (running.has(role)) return ok(name, `held by the ${role} that runs`);
      return existsSync(path) ? openable(name, path) : ok(name, 'not made yet');
    }),
  );
}

export function openable(name: string, path: string): Finding {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    const found = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    return found === 'ok'
      ? ok(name, `whole, version ${version}`)
      : problem(name, String(found), 'restore a backup: co-pilot ledger restore');
  } catch (caught) {
    const detail = caught instanceof Error ? caught.message : String(caught);
    return problem(
      name,
      detail,
      'end the program that holds it, or restore a backup: co-pilot ledger restore',
    );
  } finally {
    database?.close();
  }
}

export async function checkLogs(directory: string): Promise<readonly Finding[]> {
  const sizes = await Promise.all(
    [...ROLES, ...(await frameworkRolesIn(directory))].map(async (role) => {
      const path = join(roleDirectory(directory, role), 'log');
      return { path, size: existsSync(path) ? (await stat(path)).size : 0 };
    }),
  );
  const large = sizes.filter(({ size }) => size > LARGE_LOG);
  return large.length === 0
    ? [ok('logs', `${sizes.reduce((sum, { size }) => sum + size, 0)} bytes in all`)]
    : large.map(({ path, size }) =>
        warning('logs', `${path} has ${size} bytes`, 'stop the part and remove it, or log elsewhere'),
      );
}

/** What the broker says of those who should be connected to it. */
export function checkConnections(running: Running): readonly Finding[] {
  const status = running.get('broker');
  if (status === undefined) return [];
  const adapters = Object.entries(adaptersIn(status));
  const agents = Number(status['connectedAgents'] ?? 0);
  return [
    ...adapters.map(([name, isThere]) =>
      isThere
        ? ok(`adapter ${name}`, 'connected')
        : problem(`adapter ${name}`, 'not connected', `see whether the ${name} runs, and its log`),
    ),
    agents > 0
      ? ok('agents', `${agents} connected`)
      : warning('agents', 'none is connected', 'co-pilot agent code, then co-pilot agent run'),
  ];
}

/** Whether the broker, where it runs here, hears an adapter. */
export function isConnected(running: Running, adapter: string): boolean {
  const status = running.get('broker');
  return status !== undefined && adaptersIn(status)[adapter] === true;
}

function adaptersIn(status: Readonly<Record<string, unknown>>): Readonly<Record<string, boolean>> {
  return (status['adapters'] ?? {}) as Readonly<Record<string, boolean>>; // our own program says it
}

export function checkAddresses({ settings }: Installation): Finding {
  const { host, publicUrls } = settings;
  if (isLoopback(host) && Object.keys(publicUrls).length === 0)
    return ok('addresses', `${host}: this machine only`);
  return ok('addresses', `${host}, behind TLS at ${Object.values(publicUrls).join(', ')}`);
}

/** Agents of this machine whose identity ended: they renew it for seven days, then need a new code. */
export async function checkIdentities(directory: string, nowMs: number): Promise<readonly Finding[]> {
  const agents = join(directory, 'agents');
  const names = existsSync(agents) ? (await readdir(agents)).filter((name) => /^agent-\d+$/.test(name)) : [];
  const ends = await Promise.all(names.map((name) => endOf(join(agents, name, 'identity.json'))));
  return names.flatMap((name, at) => {
    const endMs = ends[at];
    if (endMs === undefined || endMs > nowMs) return [];
    const isLost = endMs + 7 * DAY_MS < nowMs;
    const detail = `its identity ended ${new Date(endMs).toISOString()}`;
    return [
      isLost
        ? problem(name, detail, 'give it a new code: co-pilot agent code')
        : warning(name, detail, 'start it: it renews its identity by itself for seven days'),
    ];
  });
}

async function endOf(path: string): Promise<number | undefined> {
  try {
    const { identity } = JSON.parse(await readFile(path, 'utf8')) as { readonly identity: string };
    const claims = JSON.parse(Buffer.from(identity.split('.')[1] ?? '', 'base64url').toString()) as {
      exp: number;
    };
    return claims.exp * 1000;
  } catch {
    return undefined; // it has not enrolled, or is another user's: nothing to say
  }
}
