import { chmod, mkdir, realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import manifest from '../package.json' with { type: 'json' };
import { agentIdOf } from '../protocol/agent-id.ts';
import { createAgentBus } from '../protocol/bindings/agent-bus.ts';
import { createMovingBus } from '../protocol/bindings/moving-bus.ts';
import { base64url, fromBase64url } from '../protocol/encoding.ts';
import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import { createLog } from '../protocol/runtime/log.ts';
import type { LogLevel } from '../protocol/runtime/log.ts';
import { createNodeRuntime } from '../protocol/runtime/node-runtime.ts';
import type { Crypto, PublicKey, Runtime } from '../protocol/runtime/runtime.ts';
import { renewIdentity } from './enrol.ts';
import type { AgentKeys, Membership } from './enrol.ts';
import type { EnrolmentWay } from './enrolment-way.ts';
import { AGENT_EXIT, endedBy, exitCodeOf } from './exit-codes.ts';
import type { Ended } from './exit-codes.ts';
import { detectIsolation } from './executors/detect-isolation.ts';
import { type EnvironmentSettings, readEnvironment } from './environment/environment-file.ts';
import { createJail } from './environment/jail.ts';
import { NO_ENVIRONMENT } from './environment/job-environment.ts';
import type { JobEnvironment } from './environment/job-environment.ts';
import { openSiteEnvironment } from './environment/site-environment.ts';
import type { IsolationMethod, Launcher } from './executors/launcher.ts';
import { createProcessLauncher } from './executors/process-launcher.ts';
import { enrolOptions, join } from './join.ts';
import type { Labels } from './labels.ts';
import { keepHostAd } from './live-host-ad.ts';
import type { LiveHostAd } from './live-host-ad.ts';
import { createAgent } from './loop/agent.ts';
import type { Agent, AgentEnd } from './loop/agent.ts';
import type { JobSurroundings } from './loop/context.ts';
import { createIdentityKeeper } from './loop/identity-keeper.ts';
import { createPilotHost } from './pilot/pilot-desk.ts';
import { lineOf, noIsolationText, sameCommand } from './present.ts';
import type { PresentedEvent } from './present.ts';
import { openKeys, saveMembership, secretFiles } from './store/agent-files.ts';
import { lockDirectory } from './store/directory-lock.ts';
import { openDiskStore } from './store/disk.ts';
import { createTransfers } from './transfers/http-transfers.ts';

export interface RunAgentOptions {
  /** The agent's own directory: keys, identity, journal and jobs. Made where it is missing. */
  readonly directory: string;
  /** A one-use code; needed once. */
  readonly code?: string;
  /** Another way to enrol, instead of a code. */
  readonly way?: () => Promise<EnrolmentWay>;
  /** What is the machine's owner's alone, besides its environment. With such an owner nothing runs without isolation. */
  readonly ownersFiles?: readonly string[];
  /** Files that no job may read, beside those of the directory. */
  readonly hiddenFiles?: readonly string[];
  /** Jobs at once, 1 to 63. */
  readonly slots: number;
  /** The strongest that works where it is left out. */
  readonly isolation?: IsolationMethod;
  /** How long running jobs may go on once `signal` is aborted. */
  readonly drainSeconds: number;
  /** Whether events are JSON lines. */
  readonly json: boolean;
  readonly labels?: Labels;
  /** A file that says what every job gets here, and what must be in order before one runs. */
  readonly environmentFile?: string;
  /** Whether jobs may use the network; default `host`. */
  readonly network?: 'host' | 'none';
  readonly logLevel?: LogLevel;
  /** Drain, then end. */
  readonly signal: AbortSignal;
  /** End now: running jobs are given back. */
  readonly hurry?: AbortSignal;
  /** Takes the lines that people or programs read. */
  readonly write: (line: string) => void;
  /** Is told everything that people are. */
  readonly onEvent?: (event: PresentedEvent) => void;
}

const MAX_SLOTS = 63;
const OWNERS_FILES =
  'without isolation jobs could read the account of this machine\u2019s owner; with --context or --boinc-shared it runs none';
const SYSTEM_PATH = '/usr/local/bin:/usr/bin:/bin';

/** Runs an agent until it has drained or the broker sends it away; resolves with the exit code. Never rejects. */
export async function runAgent(options: RunAgentOptions): Promise<number> {
  const say = (event: PresentedEvent): void => present(options, event);
  try {
    const { code, reason } = await run(options, say);
    say({ kind: 'ended', code, reason });
    return code;
  } catch (caught) {
    const error = toCoPilotError(caught);
    const code = exitCodeOf(error);
    say({ kind: 'ended', code, reason: `${error.code}: ${error.message}` });
    return code;
  }
}

async function run(options: RunAgentOptions, say: (event: PresentedEvent) => void): Promise<Ended> {
  if (!Number.isInteger(options.slots) || options.slots < 1 || options.slots > MAX_SLOTS)
    throw new CoPilotError('INVALID_REQUEST', `an agent has 1 to ${MAX_SLOTS} slots`);
  if (options.isolation === 'none' && options.ownersFiles !== undefined)
    return { code: AGENT_EXIT.noIsolation, reason: OWNERS_FILES };
  const runtime = createNodeRuntime(createLog('agent', { level: options.logLevel ?? 'warn' }));
  const directory = await openDirectory(options.directory);
  const lock = lockDirectory(directory);
  try {
    return await runIn(directory, runtime, options, say);
  } finally {
    lock.release();
  }
}

/** Jobs of an agent that is root run under other uids, which must be able to pass through to their work directories. */
function isPassable(): boolean {
  return process.getuid?.() === 0;
}

async function openDirectory(path: string): Promise<string> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  const directory = await realpath(path);
  await chmod(directory, isPassable() ? 0o711 : 0o700);
  return directory;
}

async function runIn(
  directory: string,
  runtime: Runtime,
  options: RunAgentOptions,
  say: (event: PresentedEvent) => void,
): Promise<Ended> {
  const surroundings = await surroundingsOf(directory, options);
  const { environmentFile } = options;
  const site = environmentFile === undefined ? undefined : await readEnvironment(environmentFile);
  const found = await detectIsolation(options.isolation, {
    clock: runtime.clock,
    directory,
    readOnly: surroundings.readOnly,
    hiddenPaths: options.ownersFiles ?? [],
  });
  if (found.kind === 'nothing-works')
    return { code: AGENT_EXIT.noIsolation, reason: noIsolationText(found.attempts, sameCommand()) };
  say({ kind: 'isolation', method: found.method });
  const keys = await openKeys(directory, runtime.crypto);
  const membership = await join(directory, keys, runtime, options);
  if (membership === undefined) return { code: AGENT_EXIT.drained, reason: 'stopped before it had enrolled' };
  say({ kind: 'enrolled', installation: membership.installation });
  const hostAd = await keepHostAd(
    {
      isolation: found.method,
      coPilotVersion: manifest.version,
      workDirectory: directory,
      nodePath: process.execPath,
      slots: options.slots,
      labels: options.labels ?? {},
      hasPilotMode: runsPilots({ method: found.method, surroundings }),
      hasCvmfs: site?.cvmfs !== undefined,
    },
    runtime.clock,
    runtime.log,
  );
  try {
    const { method } = found;
    const parts = { directory, runtime, keys, membership, hostAd, surroundings, method, site };
    return endedBy(await serve(parts, options, say));
  } finally {
    hostAd.stop();
  }
}

interface Parts {
  readonly directory: string;
  readonly runtime: Runtime;
  readonly keys: AgentKeys;
  readonly membership: Membership;
  readonly hostAd: LiveHostAd;
  readonly surroundings: JobSurroundings;
  readonly method: IsolationMethod;
  /** Undefined where its operator says nothing of it. */
  readonly site: EnvironmentSettings | undefined;
}

/** As its membership has it, which was checked when it was got. */
function certifierIn(crypto: Crypto, key: string): PublicKey {
  return crypto.importPublic('ed25519', fromBase64url(key) ?? new Uint8Array());
}

/** The loop over its real ports. */
async function serve(
  parts: Parts,
  options: RunAgentOptions,
  say: (event: PresentedEvent) => void,
): Promise<AgentEnd> {
  const { directory, runtime, keys, hostAd, surroundings } = parts;
  const { clock, random, crypto, log } = runtime;
  const launcher = createProcessLauncher(parts.method, { clock });
  const environment = await environmentOf(parts, launcher);
  const store = await openDiskStore({ directory, isPassable: isPassable() });
  const ending = new AbortController();
  let { membership } = parts;
  const id = agentIdOf(crypto, membership.installation, base64url(keys.signing.publicKey.raw));
  const bus = createMovingBus({
    urls: () => membership.bus,
    open: (url) =>
      createAgentBus({
        url,
        agent: id,
        identity: () => membership.identity,
        renewIdentity: () => keeper.renewNow(),
        clock,
        random,
        log,
      }),
    clock,
    random,
    log,
  });
  const keeper = createIdentityKeeper({
    clock,
    random,
    log,
    lifeSeconds: membership.expiresInSeconds,
    ageSeconds: Math.max(0, (clock.wallMs() - membership.obtainedMs) / 1000),
    renew: async () => {
      membership = await renewIdentity(membership, enrolOptions(keys, runtime, ending.signal)).catch(
        sendAway,
      );
      await saveMembership(directory, membership);
      return membership.expiresInSeconds;
    },
    onRenewed() {
      bus
        .identityRenewed()
        .catch((error: unknown) => log.debug({ error }, 'the bus was not told'))
        .finally(() => agent.identityRenewed());
    },
  });
  /** A bus that refuses the identity leads here: whoever was revoked while it was away hears of it at the enrolment alone. */
  const sendAway = (caught: unknown): never => {
    const { code, message } = toCoPilotError(caught);
    if (code === 'REVOKED') agent.dismiss(code, message);
    throw caught;
  };
  const agent = createAgent(
    {
      runtime,
      bus,
      launcher,
      transfers: createTransfers({ clock, crypto, key: keys.signing, log, random }),
      store,
      hostAd: hostAd.current,
      environment,
      ...(runsPilots(parts) && { pilot: createPilotHost({ clock, log }) }),
    },
    {
      keys,
      installation: membership.installation,
      certifier: certifierIn(crypto, membership.certifier),
      certifiers: () =>
        [membership.certifier, membership.nextCertifier].flatMap((key) =>
          key === undefined ? [] : [certifierIn(crypto, key)],
        ),
      identity: () => membership.identity,
      renewIdentity: () => keeper.renewNow(),
      slots: options.slots,
      surroundings,
      onEvent: say,
      onSession: () => bus.served(),
    },
  );
  const stopListening = drainOn(agent, options);
  try {
    await agent.start();
    return await agent.ended;
  } finally {
    stopListening();
    keeper.stop();
    ending.abort();
  }
}

async function environmentOf(
  { directory, runtime, surroundings, method, site }: Parts,
  launcher: Launcher,
): Promise<JobEnvironment> {
  if (site === undefined) return NO_ENVIRONMENT;
  const { clock, crypto, log } = runtime;
  return openSiteEnvironment(site, {
    jail: createJail({ launcher, directory, surroundings }),
    network: cutsNetwork(method) ? 'none' : 'host',
    clock,
    crypto,
    log,
  });
}

/** Of the ways to keep jobs apart, those that can give one a network, and process ids, of its own. */
function cutsNetwork(method: IsolationMethod): boolean {
  return method === 'bubblewrap' || method === 'unshare';
}

/** A pilot gets process ids of its own, and reaches its end point over the loopback of this host. */
function runsPilots({ method, surroundings }: Pick<Parts, 'method' | 'surroundings'>): boolean {
  return cutsNetwork(method) && surroundings.network === 'host';
}

function drainOn(agent: Agent, { signal, hurry, drainSeconds }: RunAgentOptions): () => void {
  const drain = (): void => agent.drain(drainSeconds * 1000);
  const end = (): void => agent.drain(0);
  signal.addEventListener('abort', drain, { once: true });
  hurry?.addEventListener('abort', end, { once: true });
  if (signal.aborted) drain();
  if (hurry?.aborted === true) end();
  return () => {
    signal.removeEventListener('abort', drain);
    hurry?.removeEventListener('abort', end);
  };
}

async function surroundingsOf(directory: string, options: RunAgentOptions): Promise<JobSurroundings> {
  const nodeFolder = dirname(await realpath(process.execPath));
  return {
    readOnly: nodeFolder.startsWith('/usr/') ? [] : [nodeFolder],
    hiddenPaths: [...secretFiles(directory), ...(options.ownersFiles ?? []), ...(options.hiddenFiles ?? [])],
    path: `${nodeFolder}:${SYSTEM_PATH}`,
    variables: {},
    wrap: [],
    network: options.network ?? 'host',
  };
}

function present({ json, write, onEvent }: RunAgentOptions, event: PresentedEvent): void {
  onEvent?.(event);
  const line = json ? JSON.stringify(event) : lineOf(event);
  if (line !== undefined) write(line);
}
