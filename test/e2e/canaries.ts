import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { ProcessEntry } from '../../agent/executors/process-table.ts';
import type { GeneratedBroker } from '../../cli/configuration/generated.ts';
import { generatedFile, readInstallation } from '../../cli/installation.ts';
import { decodeEnrolmentCode } from '../../protocol/enrolment.ts';
import type { StoredKey } from '../../protocol/runtime/key-file.ts';
import { needlesOf, unpacked } from './needles.ts';

/** A secret that is looked for in every byte (I10), and the files below the installation where it may lie. */
export interface Canary {
  readonly name: string;
  readonly needles: readonly Buffer[];
  readonly homes: readonly string[];
  /** Whether an agent's own sealed session may carry it: its identity does prove who it is. */
  readonly mayBeSealed: boolean;
}

/** What a trusted host has besides: planted where a grid's adapters would keep it, and in the environment they start with. */
export interface GridCredentials {
  readonly environment: Readonly<Record<string, string>>;
  readonly canaries: readonly Canary[];
}

const PROGRAM = 'agent/program.ts';

/** Puts a fake X.509 key and a fake token into each adapter's directory, before anything is started there. */
export async function plantGridCredentials(directory: string): Promise<GridCredentials> {
  const canaries: Canary[] = [];
  for (const role of ['local', 'bridge'] as const) {
    const key = randomBytes(48).toString('base64');
    const token = `eyJhbGciOiJFUzI1NiJ9.${randomBytes(48).toString('base64url')}`;
    await mkdir(join(directory, role, 'grid'), { recursive: true, mode: 0o700 });
    await plant(join(directory, role, 'grid/userkey.pem'), pem(key));
    await plant(join(directory, role, 'grid/token'), token);
    canaries.push(canary(`the X.509 key of ${role}`, key, [`${role}/grid/`]));
    canaries.push(canary(`the token of ${role}`, token, [`${role}/grid/`]));
  }
  const bearer = randomBytes(32).toString('base64url');
  return {
    environment: { BEARER_TOKEN: bearer },
    canaries: [...canaries, canary('the token in the environment', bearer, [])],
  };
}

async function plant(path: string, text: string): Promise<void> {
  await writeFile(path, text, { mode: 0o600 });
}

function pem(body: string): string {
  return `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
}

function canary(name: string, secret: string | Uint8Array, homes: readonly string[]): Canary {
  const bytes = typeof secret === 'string' ? Buffer.from(secret) : secret;
  return { name, needles: needlesOf(bytes), homes, mayBeSealed: false };
}

/** The secrets an installation made for itself. */
export async function secretsOf(directory: string): Promise<readonly Canary[]> {
  const installation = await readInstallation(directory);
  if (installation === undefined) throw new Error(`there is no installation in ${directory}`);
  const { broker, local, bridge } = installation.configurations;
  const { busSecret } = JSON.parse(
    await readFile(generatedFile(directory, 'broker'), 'utf8'),
  ) as GeneratedBroker;
  const key = (name: string, { private: hex }: StoredKey, home: string): Canary =>
    canary(name, Buffer.from(hex, 'hex'), [home]);
  return [
    canary('the operator token', bridge.operatorToken, ['bridge/config.json']),
    canary('the bus secret of the broker', busSecret ?? '', ['broker/config.json']),
    canary('the bus secret of local', local.busSecret, ['local/config.json', 'broker/config.json']),
    canary('the bus secret of bridge', bridge.busSecret, ['bridge/config.json', 'broker/config.json']),
    ...Object.entries(broker.keys).map(([name, stored]) =>
      key(`the broker's ${name} key`, stored, 'broker/config.json'),
    ),
    key('the key of local', local.key, 'local/config.json'),
    key('the key of bridge', bridge.key, 'bridge/config.json'),
    canary('the capability key', await readFile(join(directory, 'bridge/capability.key')), [
      'bridge/capability.key',
    ]),
    ...agentsOf(directory).flatMap((name) => secretsOfAgent(directory, name)),
  ];
}

function agentsOf(directory: string): readonly string[] {
  const agents = join(directory, 'agents');
  return existsSync(agents) ? readdirSync(agents).filter((name) => /^agent-\d+$/.test(name)) : [];
}

function secretsOfAgent(directory: string, name: string): readonly Canary[] {
  const home = `agents/${name}`;
  const keys = parse(join(directory, home, 'keys.json')) as Readonly<Record<string, StoredKey>>;
  const { identity } = parse(join(directory, home, 'identity.json')) as { readonly identity?: string };
  const code = join(directory, `${home}.code`);
  return [
    ...Object.entries(keys).map(([kind, { private: hex }]) =>
      canary(`the ${kind} key of ${name}`, Buffer.from(hex, 'hex'), [`${home}/keys.json`]),
    ),
    ...(identity === undefined ? [] : [identityOf(name, identity)]),
    ...(existsSync(code) ? [codeOf(name, readFileSync(code, 'utf8'))] : []),
  ];
}

function identityOf(name: string, identity: string): Canary {
  const home = `agents/${name}/identity.json`;
  return { ...canary(`the identity of ${name}`, identity, [home]), mayBeSealed: true };
}

function codeOf(name: string, code: string): Canary {
  return canary(`the one-use code of ${name}`, decodeEnrolmentCode(code).secret, [`agents/${name}.code`]);
}

/** Nothing where there is no such file: the agent has not enrolled yet. */
function parse(path: string): unknown {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}

/** Which canaries are in the bytes, in any form. */
export function canariesIn(bytes: Buffer, canaries: readonly Canary[]): readonly Canary[] {
  const all = unpacked(bytes);
  return canaries.filter(({ needles }) =>
    needles.some((needle) => all.some((haystack) => haystack.includes(needle))),
  );
}

/** Every file below the directory that holds a canary which may not be there: logs, ledgers, results, the disks of agents. */
export async function leaksOnDisk(
  directory: string,
  canaries: readonly Canary[],
): Promise<readonly string[]> {
  const leaks: string[] = [];
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = relative(directory, join(entry.parentPath, entry.name));
    const bytes = await readFile(join(directory, path)).catch(() => undefined);
    if (bytes === undefined) continue; // it was removed meanwhile
    const strangers = canaries.filter(({ homes }) => !homes.some((home) => path.startsWith(home)));
    leaks.push(...canariesIn(bytes, strangers).map(({ name }) => `${name} is in ${path}`));
  }
  return leaks;
}

/** Arguments of every process, which anybody on the machine may read, and the environments of agents and what they run. */
export function leaksInProcesses(
  processes: readonly ProcessEntry[],
  canaries: readonly Canary[],
): readonly string[] {
  const inAgents = new Set(agentProcesses(processes).map(({ pid }) => pid));
  return processes.flatMap(({ pid }) => {
    const seen = [`/proc/${pid}/cmdline`, ...(inAgents.has(pid) ? [`/proc/${pid}/environ`] : [])];
    return seen.flatMap((path) =>
      canariesIn(readProc(path), canaries).map(({ name }) => `${name} is in ${path}`),
    );
  });
}

/** Agents, the jails around them and whatever runs below. */
export function agentProcesses(processes: readonly ProcessEntry[]): readonly ProcessEntry[] {
  const found = processes.filter(({ pid }) => readProc(`/proc/${pid}/cmdline`).includes(PROGRAM));
  const pids = new Set(found.map(({ pid }) => pid));
  for (const entry of processes) if (pids.has(entry.parent)) pids.add(entry.pid);
  return processes.filter(({ pid }) => pids.has(pid));
}

function readProc(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    return Buffer.alloc(0); // it ended meanwhile
  }
}
