import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { createEnrolment } from '../../../broker/enrolment/enrolment.ts';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import type { EnrolmentMethods } from '../../../broker/enrolment/methods.ts';
import { createEnrolmentServer } from '../../../broker/http/enrolment-routes.ts';
import type { Enrolment } from '../../../broker/enrolment/enrolment.ts';
import { createWebSocketHub } from '../../../protocol/bindings/websocket-server.ts';
import type { WebSocketHub } from '../../../protocol/bindings/websocket-server.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import type { AgentMessage } from '../../../protocol/messages.ts';
import { createCast, INSTALLATION, startScriptedBroker } from '../../doubles/scripted-broker.ts';
import type { Cast, ScriptedBroker } from '../../doubles/scripted-broker.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const PROGRAM = new URL('../../../agent/program.ts', import.meta.url).pathname;

type Kinds = { readonly [K in AgentMessage['kind']]: Extract<AgentMessage, { readonly kind: K }> };

/** An agent as a process of its own. */
export interface AgentProcess {
  readonly child: ChildProcess;
  /** Lines it wrote for programs, parsed. */
  readonly events: readonly { readonly kind: string; readonly [field: string]: unknown }[];
  readonly ended: Promise<number | null>;
  stderr(): string;
}

/** A real enrolment and a real bus, with a broker that does as the test says; agents are real processes. */
export interface World {
  readonly directory: string;
  readonly broker: ScriptedBroker;
  readonly enrolment: Enrolment;
  readonly revoked: Set<string>;
  agentDirectory(): string;
  launch(...options: readonly string[]): AgentProcess;
  /** As another user, where the test is root. */
  launchAs(uid: number | undefined, ...options: readonly string[]): AgentProcess;
  newCode(): Promise<string>;
  hears<K extends AgentMessage['kind']>(kind: K, withinMs?: number): Promise<Kinds[K]>;
  close(): Promise<void>;
}

const runtime = createNodeRuntime(silentLog);

export async function openWorld(methods: EnrolmentMethods = {}): Promise<World> {
  const directory = await mkdtemp(join(tmpdir(), 'agent-world-'));
  const cast = createCast(runtime);
  const { clock, random } = runtime;
  const hub = createWebSocketHub({
    host: '127.0.0.1',
    port: 0,
    services: new Map(),
    clock,
    random,
    log: silentLog,
  });
  const broker = await startScriptedBroker(runtime, hub, cast);
  const revoked = new Set<string>();
  const { enrolment, server } = await openEnrolment(cast, hub, revoked, methods);
  const children = new Set<ChildProcess>();
  const start = (uid: number | undefined, options: readonly string[]): AgentProcess => {
    const agent = launch(['--directory', join(directory, 'agent'), '--json', ...options], uid);
    children.add(agent.child);
    return agent;
  };
  return {
    directory,
    broker,
    enrolment,
    revoked,
    agentDirectory: () => join(directory, 'agent'),
    newCode: () => enrolment.issueCode({ owner: 'somebody', site: 'here', tier: 'untrusted' }, 60),
    launch: (...options) => start(undefined, options),
    launchAs: (uid, ...options) => start(uid, options),
    async hears(kind, withinMs = 20_000) {
      const deadlineMs = clock.monotonicMs() + withinMs;
      while (broker.inbox.length === 0) {
        if (clock.monotonicMs() > deadlineMs) throw new Error(`no ${kind} within ${withinMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const message = broker.inbox.shift();
      if (message?.kind !== kind) throw new Error(`expected a ${kind}, heard ${JSON.stringify(message)}`);
      return message as Kinds[typeof kind];
    },
    async close() {
      for (const child of children) child.kill('SIGKILL');
      await broker.stop();
      await server.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function openEnrolment(
  cast: Cast,
  hub: WebSocketHub,
  revoked: ReadonlySet<string>,
  methods: EnrolmentMethods,
): Promise<{ readonly enrolment: Enrolment; readonly server: FastifyInstance }> {
  const urls = { own: '' };
  const enrolment = createEnrolment({
    runtime,
    installation: INSTALLATION,
    identityKey: cast.identityKey,
    certifier: cast.certifier.publicKey,
    codes: createMemoryCodeStore(),
    methods,
    publicUrl: () => urls.own,
    busUrls: () => [`ws://127.0.0.1:${hub.address().port}/bus`],
    agent: async (id) => (revoked.has(id) ? REVOKED_ROW(id) : undefined),
  });
  const server = createEnrolmentServer({ enrolment, clock: runtime.clock, log: silentLog });
  urls.own = await server.listen({ host: '127.0.0.1', port: 0 });
  return { enrolment, server };
}

const REVOKED_ROW = (id: string) => ({
  id,
  owner: 'somebody',
  site: 'here',
  tier: 'untrusted' as const,
  status: 'revoked' as const,
  start: '',
  superseded: [],
  flipsMs: [],
  slots: {},
  held: [],
  verdicts: [],
  quickFailures: 0,
  coolUntilMs: 0,
  place: false,
});

function launch(options: readonly string[], uid: number | undefined): AgentProcess {
  const child = spawn(process.execPath, ['--no-warnings', PROGRAM, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(uid !== undefined && { uid, gid: uid }),
  });
  const events: { readonly kind: string; readonly [field: string]: unknown }[] = [];
  let rest = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) events.push(JSON.parse(line));
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    errors += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  return { child, events, ended, stderr: () => errors };
}

/** The code in a file, as the agent's program takes it. */
export async function codeFile(world: World, code: string): Promise<string> {
  const path = join(world.directory, 'code');
  await writeFile(path, code, { mode: 0o600 });
  return path;
}
