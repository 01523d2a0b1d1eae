import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createWebSocketHub, type WebSocketHub } from '../../protocol/bindings/websocket-server.ts';
import { base64url, idOf } from '../../protocol/encoding.ts';
import type { Attempt, Lease, Report, Request, Welcome } from '../../protocol/generated/types.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import type { Log, PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { SubjectUnavailable } from '../case.ts';
import { fillWords } from '../command-words.ts';
import { expect, Failed, never, until } from '../expectation.ts';
import { BrokerDesk } from './broker-desk.ts';
import { type BusGate, openBusGate } from './bus-gate.ts';
import { Clerk, type Heard, type Said } from './clerk.ts';
import { type EnrolmentDesk, openEnrolmentDesk } from './enrolment-desk.ts';
import { Faults } from './faults.ts';
import { capabilitiesFor, type JobWish, leaseOf } from './jobs.ts';
import type { Line } from './line.ts';
import { type Program, startProgram } from './program.ts';
import { Storage } from './storage.ts';

const HOST = '127.0.0.1';
/** Long enough for any agent that works, before patience. */
const SOON_MS = 8000;
const START_MS = 20_000;

export interface StageOptions {
  /** The agent's command, in words with placeholders. */
  readonly words: readonly string[];
  readonly patience: number;
  /** How often the hub pings; left out: 30 s. */
  readonly pingEveryMs?: number;
  /** Whether there is a second way to the hub. */
  readonly hasTwoUrls?: true;
}

const silent = (): void => undefined;
const NO_LOG: Log = { debug: silent, info: silent, warn: silent, error: silent };
const runtime: Runtime = createNodeRuntime(NO_LOG);

/** An installation of the suite's own, with one agent: what a case acts on. */
export interface Stage {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly directory: string;
  readonly enrolment: EnrolmentDesk;
  readonly storage: Storage;
  readonly gate: BusGate;
  /** The second way to the same hub, where the case has one. */
  readonly otherGate: BusGate;
  readonly desk: BrokerDesk;
  readonly clerk: Clerk;
  readonly faults: Faults;
  /** What every certificate is signed with. */
  readonly certifier: PrivateKey;
  readonly signal: AbortSignal;
  /** The process started last. */
  readonly program: Program | undefined;
  /** Everything the agent's processes wrote, the end of each. */
  readonly output: string;
  /** The newest session; `Failed` where there is none. */
  readonly line: Line;
  /** Whether sessions are greeted with a welcome; a case may greet them itself. */
  greets: boolean;
  /** Changes the welcome. */
  welcome: (usual: Welcome) => object;
  /** Milliseconds, multiplied by patience. */
  ms(milliseconds: number): number;
  /** Starts the agent; its code may have another address. */
  start(code?: string): Promise<Program>;
  /** Ends the agent as a power cut does, and starts it again. */
  restart(): Promise<void>;
  /** Waits for something of the agent. */
  until<T>(what: string, look: () => T | undefined, withinMs?: number): Promise<T>;
  /** Watches that nothing of a kind happens. */
  never(seen: () => string | undefined, forMs: number): Promise<void>;
  /** Waits for a message of a kind that no call has taken. */
  hears<K extends Heard['message']['kind']>(
    kind: K,
    fits?: (heard: Heard<Said<K>>) => boolean,
    withinMs?: number,
  ): Promise<Heard<Said<K>>>;
  /** Waits until a session is there that was greeted. */
  session(withinMs?: number): Promise<Line>;
  /** Waits for a request that is parked. */
  parked(withinMs?: number): Promise<Request>;
  /** Gives a job to the parked request. */
  gives(wish: JobWish): Promise<Lease>;
  /** Waits for the report of an attempt. */
  report(attempt: Attempt, withinMs?: number): Promise<Report>;
  /** The agent works as ever: `none` is answered by a new request. */
  proves(): Promise<void>;
  say(message: object): void;
}

export class OpenStage implements Stage {
  readonly runtime = runtime;
  readonly installation: string;
  readonly faults = new Faults();
  readonly certifier = runtime.crypto.generate('ed25519');
  greets = true;
  welcome: (usual: Welcome) => object = (usual) => usual;
  signal: AbortSignal = new AbortController().signal;
  readonly #options: StageOptions;
  readonly #programs: Program[] = [];
  #parts: Parts | undefined;
  #start = '';

  constructor(options: StageOptions) {
    this.#options = options;
    this.installation = `conformance-${base64url(runtime.random.bytes(3))
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, 'x')}x`;
  }

  async open(): Promise<void> {
    const directory = await mkdtemp(join(await realpath(tmpdir()), 'co-pilot-conformance-'));
    const keys = {
      certifier: this.certifier,
      identityKey: runtime.crypto.generate('p256'),
    };
    const { installation, faults } = this;
    const { clock, random, log } = runtime;
    const { pingEveryMs } = this.#options;
    const hub = createWebSocketHub({
      host: HOST,
      port: 0,
      services: new Map(),
      clock,
      random,
      log,
      ...(pingEveryMs !== undefined && { limits: { pingEveryMs } }),
    });
    const desk = new BrokerDesk(hub, {
      runtime,
      installation,
      faults,
      ...keys,
      onLine: (line) => this.#onLine(line),
      onMessage: (line, bytes) => this.clerk.receive(line, bytes),
      onConfirmation: (line) => desk.confirm(line),
    });
    await hub.start();
    const gate = await openBusGate(() => hub.address().port);
    const otherGate = await openBusGate(() => hub.address().port);
    const gates = this.#options.hasTwoUrls ? [gate, otherGate] : [gate];
    const enrolment = await openEnrolmentDesk(
      {
        runtime,
        installation,
        faults,
        ...keys,
        busUrls: () => gates.map(({ port }) => `ws://${HOST}:${port}/bus`),
      },
      HOST,
    );
    const signingKey = (): Uint8Array | undefined => enrolment.signingKey();
    const storage = new Storage({ runtime, faults, signingKey });
    await storage.open(HOST);
    const clerk: Clerk = new Clerk({
      runtime,
      installation,
      faults,
      say: (line, message) => desk.say(line, message),
      agentId: () => this.#agentId(),
      signingKey: () => {
        const raw = signingKey();
        return raw === undefined ? undefined : runtime.crypto.importPublic('ed25519', raw);
      },
      capabilities: (attempt, verb, files) =>
        capabilitiesFor(storage, attempt, verb, files, clerk.dealOf(attempt)?.lease),
      isStored: (attempt, file) => storage.isStored(attempt, file),
      maxSlots: () => desk.maxSlots,
    });
    this.#parts = { directory, hub, gate, otherGate, desk, enrolment, storage, clerk };
  }

  get directory(): string {
    return this.#open.directory;
  }

  get enrolment(): EnrolmentDesk {
    return this.#open.enrolment;
  }

  get storage(): Storage {
    return this.#open.storage;
  }

  get gate(): BusGate {
    return this.#open.gate;
  }

  get otherGate(): BusGate {
    return this.#open.otherGate;
  }

  get desk(): BrokerDesk {
    return this.#open.desk;
  }

  get clerk(): Clerk {
    return this.#open.clerk;
  }

  get program(): Program | undefined {
    return this.#programs.at(-1);
  }

  get output(): string {
    return this.#programs.map(({ output }) => output).join('\n');
  }

  get line(): Line {
    const { line } = this.desk;
    expect(line !== undefined, 'the agent has no session');
    return line;
  }

  ms(milliseconds: number): number {
    return milliseconds * this.#options.patience;
  }

  async start(code = this.enrolment.code()): Promise<Program> {
    const codeFile = join(this.directory, 'code');
    await writeFile(codeFile, `${code}\n`, { mode: 0o600 });
    const directory = join(this.directory, 'agent');
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const words = fillWords(this.#options.words, { directory, codeFile, code });
    const program = await startProgram(words, directory);
    this.#programs.push(program);
    return program;
  }

  async restart(): Promise<void> {
    await this.program?.kill();
    this.gate.cut();
    await this.start();
  }

  until<T>(what: string, look: () => T | undefined, withinMs = SOON_MS): Promise<T> {
    return until(what, look, this.ms(withinMs), this.signal);
  }

  never(seen: () => string | undefined, forMs: number): Promise<void> {
    return never(seen, forMs, this.signal);
  }

  hears<K extends Heard['message']['kind']>(
    kind: K,
    fits: (heard: Heard<Said<K>>) => boolean = () => true,
    withinMs = SOON_MS,
  ): Promise<Heard<Said<K>>> {
    return this.until(`a ${kind}`, () => this.clerk.take(kind, fits), withinMs);
  }

  session(withinMs = START_MS): Promise<Line> {
    return this.until('a session', () => this.desk.line, withinMs);
  }

  parked(withinMs = SOON_MS): Promise<Request> {
    return this.until('a request for work', () => this.clerk.parked, withinMs);
  }

  async gives(wish: JobWish): Promise<Lease> {
    await this.parked();
    const lease = leaseOf(wish, runtime.random, this.storage);
    this.clerk.give(lease);
    return lease;
  }

  async report(attempt: Attempt, withinMs = 20_000): Promise<Report> {
    const isIts = ({ message }: Heard<Report>): boolean =>
      message.job === attempt.job && message.attempt === attempt.attempt;
    return (await this.hears('report', isIts, withinMs)).message;
  }

  async proves(): Promise<void> {
    const { slot, counter } = await this.parked();
    this.clerk.none({ reason: 'no-work', retryAfterSeconds: 0 });
    await this.until('a new request after `none`, as from an agent that works', () =>
      this.clerk.parked !== undefined && isAfter(this.clerk.parked, slot, counter) ? true : undefined,
    );
  }

  say(message: object): void {
    this.desk.say(this.line, message);
  }

  /** Waits until a started agent waits for work; `SubjectUnavailable` where it ends before. */
  async ready(): Promise<void> {
    const { program } = this;
    await this.until(
      'the agent to connect and ask for work',
      () => {
        if (program?.ended !== undefined)
          throw new SubjectUnavailable(
            `the agent ended with code ${program.ended.code ?? 'none'} before it asked for work: ${lastLines(program.output)}`,
          );
        return this.clerk.parked;
      },
      START_MS,
    );
  }

  /** Whether it waits for work, with nothing open, so that another case may use it. */
  async settles(): Promise<boolean> {
    try {
      await until(
        'rest',
        () =>
          this.clerk.parked !== undefined && this.clerk.held.length === 0 && this.program?.ended === undefined
            ? true
            : undefined,
        this.ms(SOON_MS),
        new AbortController().signal,
      );
      return true;
    } catch (caught) {
      if (caught instanceof Failed) return false;
      throw caught;
    }
  }

  /** A case begins: manners are the usual ones, and what was heard is history. */
  begin(signal: AbortSignal): void {
    this.signal = signal;
    this.greets = true;
    this.welcome = (usual) => usual;
    this.desk.manners.answer = (offer) => [offer.right()];
    this.desk.manners.confirms = true;
    this.storage.straighten();
    this.clerk.forgetHeard();
    this.clerk.manners = {};
  }

  async close(): Promise<void> {
    for (const program of this.#programs) await program.kill();
    const { gate, otherGate, hub, enrolment, storage, directory } = this.#open;
    await gate.close();
    await otherGate.close();
    await hub.stop();
    await enrolment.close();
    await storage.close();
    await rm(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  get #open(): Parts {
    if (this.#parts === undefined) throw new Failed('the stage is not open');
    return this.#parts;
  }

  #onLine(line: Line): void {
    if (line.hello.start !== this.#start) {
      this.#start = line.hello.start;
      this.clerk.newStart();
    }
    if (!this.greets) return;
    const usual: Welcome = {
      kind: 'welcome',
      agent: this.#agentId(),
      slots: [...this.clerk.counters],
      held: [...this.clerk.held],
      verdicts: [...this.clerk.pending],
    };
    this.clerk.opened(line);
    this.desk.say(line, this.welcome(usual));
  }

  #agentId(): string {
    const sig = base64url(this.enrolment.signingKey() ?? new Uint8Array());
    return idOf((data) => runtime.crypto.sha256(data), `co-pilot-agent-1\n${this.installation}\n${sig}`);
  }
}

interface Parts {
  readonly directory: string;
  readonly hub: WebSocketHub;
  readonly gate: BusGate;
  readonly otherGate: BusGate;
  readonly desk: BrokerDesk;
  readonly enrolment: EnrolmentDesk;
  readonly storage: Storage;
  readonly clerk: Clerk;
}

function isAfter(request: Request, slot: number, counter: number): boolean {
  return request.slot !== slot || request.counter > counter;
}

const LAST_CHARACTERS = 600;

function lastLines(output: string): string {
  const text = output.trim().slice(-LAST_CHARACTERS);
  return text === '' ? 'it wrote nothing' : text;
}

/** An address of this machine that is not loopback; undefined where it has none. */
export function anotherAddress(): string | undefined {
  return Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}
