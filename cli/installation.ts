import { createHash } from 'node:crypto';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { syncDirectory, writeDurably } from '../protocol/runtime/durable-file.ts';
import type { FrameworkConfiguration } from '../adapters/jobs/kit/framework-kind.ts';
import { TRUST_FILE } from '../adapters/trust.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { readIfThere } from '../protocol/runtime/read-if-there.ts';
import {
  generate,
  generateFramework,
  type Generated,
  type GeneratedAdapter,
  type GeneratedBroker,
  publicKeyOf,
  unreadKeys,
} from './configuration/generated.ts';
import { type Configuration, loadConfiguration } from './configuration/load.ts';
import {
  bridgeOf,
  brokerOf,
  frameworkOf,
  hasIntake,
  localOf,
  type RoleConfigurations,
  type Secrets,
  secretsOf,
} from './configuration/role-configurations.ts';
import { readSecret } from './configuration/secret.ts';
import type { Settings } from './configuration/settings.ts';

/** The programs of one machine's installation that hold secrets, each in a directory of its own. */
export type Role = 'broker' | 'local' | 'bridge';

export const ROLES: readonly Role[] = ['broker', 'local', 'bridge'];

/** The program of one framework's adapter. */
export type FrameworkRole = `frameworks/${string}`;

/** Any program of an installation. */
export type ProgramRole = Role | FrameworkRole;

export function frameworkRole(name: string): FrameworkRole {
  return `frameworks/${name}`;
}

/** The frameworks' adapters that have a part in this directory. */
export async function frameworkRolesIn(directory: string): Promise<readonly FrameworkRole[]> {
  const found = await readdir(join(directory, 'frameworks'), { withFileTypes: true }).catch(() => []);
  return found.filter((entry) => entry.isDirectory()).map(({ name }) => frameworkRole(name));
}

/** Where everything of an installation on one machine lies. */
export interface Installation {
  readonly directory: string;
  readonly settings: Settings;
  readonly configurations: RoleConfigurations;
}

export interface InstallationOptions {
  readonly directory: string;
  /** What a person has set; read from its file and the environment where it is left out. */
  readonly configuration?: Configuration;
  /** The first of three ports in a row: bus, enrolment, bridge. Free ones are chosen where it is left out. */
  readonly port?: number;
}

const MAX_SOCKET_PATH = 100;
const CONFIG_FILE = 'config.json';

/** Directory of one role: 0700, entered by nobody but its program. */
export function roleDirectory(directory: string, role: ProgramRole): string {
  return join(directory, role);
}

/** The socket a role is controlled by; in a directory of its own under the system's temporary one where the path would be too long. */
export function controlSocket(directory: string, role: Role): string {
  const near = join(roleDirectory(directory, role), 'control.sock');
  if (Buffer.byteLength(near) <= MAX_SOCKET_PATH) return near;
  const digest = createHash('sha256').update(resolve(directory)).digest('hex').slice(0, 16);
  return join(tmpdir(), `co-pilot-${process.getuid?.() ?? 0}-${digest}-${role}`, 'control.sock');
}

/** Reads an installation, or makes one: keys, secrets and ports are chosen once and kept. */
export async function openInstallation(options: InstallationOptions): Promise<Installation> {
  const directory = resolve(options.directory);
  const configuration = options.configuration ?? (await configured(directory));
  const known = await readInstallation(directory, configuration);
  if (known !== undefined) {
    requirePort(known, options.port);
    if (!(await makeFrameworkParts(directory, configuration.settings))) return known;
  } else {
    await makeDirectory(directory, 0o755);
    const generated = await generate(configuration.settings, options.port);
    for (const role of ROLES) await writeGenerated(directory, role, generated[role]);
    await makeFrameworkParts(directory, configuration.settings);
  }
  const made = await readInstallation(directory, configuration);
  if (made === undefined) throw new CoPilotError('INTERNAL', `what was written to ${directory} is gone`);
  return made;
}

/** Agents that enrolled know where the bus is: an installation keeps the ports it was made with. */
function requirePort(known: Installation, port: number | undefined): void {
  const { busPort } = known.configurations.broker;
  if (port === undefined || port === busPort) return;
  throw new CoPilotError(
    'INVALID_REQUEST',
    `the installation in ${known.directory} has its ports already, from ${busPort} on; start another with --data, or leave --port out`,
  );
}

/** Undefined where there is none, or one whose making was cut short. */
export async function readInstallation(
  directory: string,
  configuration?: Configuration,
): Promise<Installation | undefined> {
  const read = configuration ?? (await configured(directory));
  const [broker, local, bridge] = await Promise.all([
    readConfiguration(directory, 'broker', read),
    readConfiguration(directory, 'local', read),
    readConfiguration(directory, 'bridge', read),
  ]);
  if (broker === undefined || local === undefined || bridge === undefined) return undefined;
  return { directory, settings: read.settings, configurations: { broker, local, bridge } };
}

/** What a role runs with; undefined where there is no installation. Throws `INVALID_CONFIGURATION` where a part cannot be read. */
export async function readConfiguration<R extends Role>(
  directory: string,
  role: R,
  configuration?: Configuration,
): Promise<RoleConfigurations[R] | undefined> {
  const { settings } = configuration ?? (await configured(directory));
  const generated = await readAdmitting(directory, role);
  if (generated === undefined) return undefined;
  const bridge = role === 'local' && hasIntake(settings) ? await readNeighbour(directory) : undefined;
  const assemble: Assemble = { broker: brokerOf, local: localOf, bridge: bridgeOf };
  return assemble[role](generated, settings, await secretsFor(role, settings), bridge);
}

/** As `readGenerated`; a broker that was added admits whom the first one does, which may have new adapters since. */
async function readAdmitting<R extends Role>(directory: string, role: R): Promise<Generated[R] | undefined> {
  const own = await readGenerated(directory, role);
  if (own === undefined) return undefined;
  const { keyRing, services = [] }: Partial<GeneratedBroker> = own;
  if (keyRing === undefined) return own;
  const first = await readPart<GeneratedBroker>(join(dirname(keyRing), CONFIG_FILE)).catch(unlessDenied);
  if (first?.installation !== own.installation) return own;
  return { ...own, services: first.services.reduce(withAdmitted, services) };
}

/** The bridge's part, where both parts are the same user's; otherwise a person says what is needed of it. */
async function readNeighbour(directory: string): Promise<Generated['bridge'] | undefined> {
  return readGenerated(directory, 'bridge').catch(unlessDenied);
}

/** What is another user's is as good as not there. */
function unlessDenied(caught: unknown): undefined {
  if (!isDenied(caught)) throw caught;
}

function isDenied(caught: unknown): boolean {
  const cause = caught instanceof CoPilotError ? caught.cause : undefined;
  return cause instanceof Error && 'code' in cause && cause.code === 'EACCES';
}

/** Settings of an earlier version in the parts' own files, where nothing is read any more; keys by file. */
export async function unreadSettings(directory: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = await Promise.all(
    ROLES.map(async (role) => {
      const generated = await readGenerated(directory, role);
      return [generatedFile(directory, role), generated ? unreadKeys(role, generated) : []] as const;
    }),
  );
  return new Map(found.filter(([, keys]) => keys.length > 0));
}

/** What the adapter of a framework runs with; undefined where it has no part here, or nobody has configured it. */
export async function readFramework(
  directory: string,
  name: string,
  { settings }: Configuration,
): Promise<FrameworkConfiguration | undefined> {
  const generated = await readGeneratedFramework(directory, name);
  const entry = settings.frameworks[name];
  if (generated === undefined || entry === undefined) return undefined;
  const bridge = await readNeighbour(directory);
  return frameworkOf(generated, settings, await secretsOfFrameworks(settings), bridge);
}

async function secretsOfFrameworks(settings: Settings): Promise<Secrets> {
  const { operatorToken: reference } = settings.secrets;
  if (reference === undefined) return {};
  return { operatorToken: await readSecret('operatorToken', reference, process.env) };
}

/**
 * Makes key and secret of each configured framework's adapter that has none, and has the broker admit it. Answers whether anything was
 * made. The adapter's part is written first: one that the broker does not know yet is told to it at the next start.
 */
async function makeFrameworkParts(directory: string, settings: Settings): Promise<boolean> {
  const broker = await readGenerated(directory, 'broker');
  if (broker === undefined) return false;
  let services: GeneratedBroker['services'] = broker.services;
  for (const name of Object.keys(settings.frameworks)) {
    const part = await partOfFramework(directory, name, { ...broker, services });
    services = withService(services, part);
  }
  if (JSON.stringify(services) === JSON.stringify(broker.services)) return false;
  await writePart(directory, 'broker', { ...broker, services });
  return true;
}

async function partOfFramework(
  directory: string,
  name: string,
  broker: GeneratedBroker,
): Promise<GeneratedAdapter> {
  const known = await readGeneratedFramework(directory, name);
  if (known !== undefined) return known;
  const keyId = 1 + Math.max(0, ...broker.services.map((service) => service.keyId));
  const part = generateFramework(broker, name, keyId);
  await writePart(directory, frameworkRole(name), part);
  await trustAsOthers(directory, frameworkRole(name));
  return part;
}

/** The same list where the broker knows it already. */
function withService(
  services: GeneratedBroker['services'],
  part: GeneratedAdapter,
): GeneratedBroker['services'] {
  const { name, keyId, busSecret: secret } = part;
  return withAdmitted(services, { name, key: publicKeyOf(part), keyId, secret });
}

function withAdmitted(
  services: GeneratedBroker['services'],
  service: GeneratedBroker['services'][number],
): GeneratedBroker['services'] {
  const at = services.findIndex((other) => other.name === service.name);
  return at < 0 ? [...services, service] : services.with(at, service);
}

/** Keys that were rolled, and brokers that were added, before this adapter was there. */
async function trustAsOthers(directory: string, role: FrameworkRole): Promise<void> {
  const text = await readIfThere(join(roleDirectory(directory, 'broker'), TRUST_FILE));
  if (text !== undefined) await writeDurably(join(roleDirectory(directory, role), TRUST_FILE), text);
}

type Assemble = {
  readonly [R in Role]: (
    generated: Generated[R],
    settings: Settings,
    secrets: Secrets,
    bridge: Generated['bridge'] | undefined,
  ) => RoleConfigurations[R];
};

function configured(directory: string): Promise<Configuration> {
  return loadConfiguration({ directory, environment: process.env });
}

async function secretsFor(role: Role, settings: Settings): Promise<Secrets> {
  const { secrets } = settings;
  const read = secretsOf(role, settings).map(async (name) => {
    const reference = secrets[name];
    return [name, reference && (await readSecret(name, reference, process.env))] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

/** What was made for a role at the first start; undefined where it is not there. */
export async function readGenerated<R extends Role>(
  directory: string,
  role: R,
): Promise<Generated[R] | undefined> {
  return readPart<Generated[R]>(generatedFile(directory, role));
}

/** What was made for the adapter of a framework; undefined where it is not there. */
export async function readGeneratedFramework(
  directory: string,
  name: string,
): Promise<GeneratedAdapter | undefined> {
  return readPart<GeneratedAdapter>(generatedFile(directory, frameworkRole(name)));
}

async function readPart<Part>(path: string): Promise<Part | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Part; // written by us, readable by this user alone
  } catch (caught) {
    if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return undefined;
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      `${path} cannot be read; restore it, or start in another directory with --data`,
      {
        cause: caught,
      },
    );
  }
}

/** Where the keys and secrets of a role lie. */
export function generatedFile(directory: string, role: ProgramRole): string {
  return join(roleDirectory(directory, role), CONFIG_FILE);
}

/** Writes what was made for a role, in a directory that it makes where it is not there. */
export async function writeGenerated(directory: string, role: Role, generated: object): Promise<void> {
  await writePart(directory, role, generated);
  await makeDirectory(dirname(controlSocket(directory, role)), 0o700);
}

/** As `writeGenerated`, for any program; those of frameworks have no control socket. */
async function writePart(directory: string, role: ProgramRole, generated: object): Promise<void> {
  await makeDirectory(roleDirectory(directory, role), 0o700);
  await writeDurably(generatedFile(directory, role), `${JSON.stringify(generated, null, 2)}\n`);
}

/** With its parents; what it made is there after a power cut too. */
async function makeDirectory(path: string, mode: number): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode });
  await chmod(path, mode);
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}
