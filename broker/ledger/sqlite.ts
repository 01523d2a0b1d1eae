import { MessageChannel, Worker } from 'node:worker_threads';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Clock, Log } from '../../protocol/runtime/runtime.ts';
import type { Command, Outcome } from '../core/command.ts';
import type { Account } from '../core/account.ts';
import type { LedgerRetention } from '../core/prune.ts';
import type { AgentRow, JobState, OwnerRow } from '../core/state.ts';
import { createGroupQueue, type GroupQueue } from './group-queue.ts';
import type { AgentPage, LedgerKeeping, Pruned } from './keeping.ts';
import type { JobQuery, Ledger, StoredJob } from './ledger.ts';
import { createLedgerClock } from './ledger-clock.ts';
import { type OnGroup, watched } from './watched-group.ts';
import { decodeOutcomes } from './outcome-text.ts';
import type { Answer, Call, SnapshotNews } from './sqlite-call.ts';
import type { SnapshotProgress } from '../../protocol/runtime/sqlite-snapshot.ts';

export interface SqliteLedgerOptions {
  /** The file; made where there is none, readable for its owner alone. Its folder must exist. */
  readonly path: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Sees each group: how many commands, and how long it took until it was durable or refused. */
  readonly onGroup?: OnGroup;
  /** The thread died though nobody closed it: nothing is answered any more, and only a restart helps. */
  readonly onDeath?: () => void;
}

/**
 * Opens the ledger in a worker thread and gives every live attempt a fresh lease before it serves. Rejects with `LEDGER_IN_USE`,
 * `LEDGER_CORRUPT`, `LEDGER_FULL`, `LEDGER_UNAVAILABLE` or `UNSUPPORTED`, each with the next step in its message.
 */
export function openSqliteLedger(options: SqliteLedgerOptions): Promise<Ledger & LedgerKeeping> {
  return openLedgerIn(new URL('./sqlite-worker.ts', import.meta.url), options);
}

/** As `openSqliteLedger`, with the program that the thread runs. */
export async function openLedgerIn(
  program: URL,
  options: SqliteLedgerOptions,
): Promise<Ledger & LedgerKeeping> {
  const thread = new SqliteThread(program, options);
  await thread.opened;
  return new SqliteLedger(thread, options);
}

const WORTH_A_SYNC = 32;
/** Queries waiting for the thread; beyond this they are rejected at once. Groups come one at a time. */
const MAX_CALLS = 1_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: CoPilotError) => void;
}

/** The worker as a function: calls are answered in order, and all of them fail with it. */
class SqliteThread {
  /** Resolves once the file is open; rejects with why it is not. */
  readonly opened: Promise<unknown>;
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #ended: Promise<void>;
  #waiting: Waiting[] = [];
  #failure: CoPilotError | undefined;

  constructor(program: URL, { path, log, onDeath }: SqliteLedgerOptions) {
    this.#log = log;
    this.#worker = new Worker(program, { workerData: path, execArgv: [], env: {} });
    this.opened = this.#answer();
    this.#worker.on('message', (answer: Answer) => {
      this.#settle(answer);
    });
    this.#worker.on('error', (cause: Error) => {
      this.#log.error({ error: cause.message }, 'the ledger thread died');
      this.#fail(
        new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger thread died: restart the broker', { cause }),
      );
      onDeath?.();
    });
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#fail(new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is closed'));
        resolve();
      });
    });
  }

  ask(call: Call): Promise<unknown> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    // Closing is never one too many: nobody else would tell the thread to end.
    if (this.#waiting.length >= MAX_CALLS && call.kind !== 'close')
      return Promise.reject(new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is busy: too many questions'));
    this.#worker.postMessage(call, call.kind === 'snapshot' ? [call.port] : []);
    return this.#answer();
  }

  /** Waits for the thread to be gone. */
  async end(): Promise<void> {
    await this.#ended;
  }

  #answer(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.shift();
    if (answer.kind === 'value') waiting?.resolve(answer.value);
    else waiting?.reject(this.#faultOf(answer));
  }

  #faultOf({ code, message }: Extract<Answer, { kind: 'fault' }>): CoPilotError {
    this.#log.error({ code }, message);
    return new CoPilotError(code, message);
  }

  #fail(error: CoPilotError): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting) reject(this.#failure);
    this.#waiting = [];
  }
}

class SqliteLedger implements Ledger, LedgerKeeping {
  readonly #thread: SqliteThread;
  readonly #elapsedMs: () => number;
  readonly #queue: GroupQueue;
  #closing: Promise<void> | undefined;

  constructor(thread: SqliteThread, { clock, onGroup }: SqliteLedgerOptions) {
    this.#thread = thread;
    this.#elapsedMs = createLedgerClock(clock, 0);
    this.#queue = createGroupQueue(
      watched(clock, onGroup, async (commands) =>
        decodeOutcomes(await this.#ask({ kind: 'apply', commands, elapsedMs: this.#elapsedMs() })),
      ),
      { turn: endOfTurn, enough: WORTH_A_SYNC },
    );
  }

  apply(commands: readonly Command[]): Promise<readonly Outcome[]> {
    return this.#closing === undefined ? this.#queue.apply(commands) : Promise.reject(closed());
  }

  due(limit: number): Promise<readonly string[]> {
    return this.#ask({ kind: 'due', limit, elapsedMs: this.#elapsedMs() });
  }

  list({ kind: query }: JobQuery, after: string, limit: number): Promise<readonly StoredJob[]> {
    return this.#ask({ kind: 'list', query, after, limit });
  }

  job(id: string): Promise<StoredJob | undefined> {
    return this.#ask({ kind: 'job', id });
  }

  agent(id: string): Promise<AgentRow | undefined> {
    return this.#ask({ kind: 'agent', id });
  }

  owner(id: string): Promise<OwnerRow | undefined> {
    return this.#ask({ kind: 'owner', id });
  }

  nowMs(): Promise<number> {
    return this.#ask({ kind: 'now', elapsedMs: this.#elapsedMs() });
  }

  agents(after: string, limit: number): Promise<AgentPage> {
    return this.#ask({ kind: 'agents', after, limit, elapsedMs: this.#elapsedMs() });
  }

  accounts(after: string, limit: number): Promise<readonly Account[]> {
    return this.#ask({ kind: 'accounts', after, limit });
  }

  count(): Promise<Readonly<Partial<Record<JobState, number>>>> {
    return this.#ask({ kind: 'count' });
  }

  prune(retention: LedgerRetention, limit: number): Promise<Pruned> {
    return this.#ask({ kind: 'prune', retention, limit, elapsedMs: this.#elapsedMs() });
  }

  snapshot(path: string, onProgress: (progress: SnapshotProgress) => void): Promise<void> {
    const { port1: port, port2 } = new MessageChannel();
    return new Promise((resolve, reject) => {
      // A thread that ends takes its side of the channel with it.
      port.once('close', () => reject(closed()));
      port.on('message', (news: SnapshotNews) => {
        if (news.kind === 'progress') onProgress(news);
        else if (news.kind === 'done') resolve();
        else reject(new CoPilotError(news.code, news.message));
      });
      this.#ask({ kind: 'snapshot', path, port: port2 }).catch((caught: unknown) => {
        port.close();
        reject(toCoPilotError(caught));
      });
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#queue.drained();
    try {
      await this.#thread.ask({ kind: 'close', elapsedMs: this.#elapsedMs() });
    } catch {
      // Why is logged; the file is as the last group left it, and there is nothing else to close.
    }
    await this.#thread.end();
  }

  async #ask<Value>(call: Call): Promise<Value> {
    return (await this.#thread.ask(call)) as Value;
  }
}

/** Whatever sockets had to say by now has been heard. */
function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function closed(): CoPilotError {
  return new CoPilotError('LEDGER_UNAVAILABLE', 'the ledger is closed');
}
