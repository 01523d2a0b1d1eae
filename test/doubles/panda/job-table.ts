import type { Cancel, Clock } from '../../../protocol/runtime/runtime.ts';
import { EventTable } from './event-table.ts';
import { completeJob, describeJob, type PandaSpec, type WantedJob } from './job-spec.ts';
import { reportFault } from './output-report.ts';
import { type Json, pythonText } from './python-values.ts';

export type PandaState =
  | 'activated'
  | 'sent'
  | 'starting'
  | 'running'
  | 'holding'
  | 'transferring'
  | 'finished'
  | 'failed'
  | 'cancelled';

/** The six states that a pilot may set. */
export const PILOT_STATES: readonly string[] = [
  'starting',
  'running',
  'holding',
  'transferring',
  'finished',
  'failed',
];

export interface PandaJob {
  readonly id: number;
  readonly spec: PandaSpec;
  state: PandaState;
  attempt: number;
  /** In the archived table: nothing a pilot says reaches it. */
  isArchived: boolean;
  /** Who put it where it is: decides what a pilot may still do. */
  setBy: 'server' | 'pilot';
  /** The final word of the pilot, once it gave one. */
  given: 'finished' | 'failed' | undefined;
  report: string;
  command: string;
  sent: number;
  changedMs: number;
  heardMs: number;
  /** As the server keeps what updates say, the last value of each. */
  readonly fields: Record<string, Json>;
  readonly errors: Record<string, Json>;
  /** Every state it was in, in order. */
  readonly history: PandaState[];
  /** Updates heard that carried a report, whatever became of them. */
  reports: number;
}

export interface TableSettings {
  /** From a pilot's final word to the adder's; 0: at once. */
  readonly adderMs: number;
  /** From the adder's word to finished; 0: at once. */
  readonly transferMs: number;
  /** From the end of a job to its move to the archive. */
  readonly archiveMs: number;
  readonly holdingMs: number;
}

export const DEFAULT_TABLE: TableSettings = {
  adderMs: 500,
  transferMs: 0,
  archiveMs: 0,
  holdingMs: 48 * 3_600_000,
};

export interface Update {
  readonly status: string;
  readonly attempt: number | undefined;
  readonly report: string;
  readonly fields: Readonly<Record<string, Json>>;
}

/** What an update finds: the table has no such job, or the command that answers. */
export type Answered = { readonly command: string };

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const WATCH_MS = MINUTE_MS;
const HIGH_PRIORITY = 800;
const NO_COMMAND: Answered = { command: 'NULL' };
const DONE: Answered = { command: 'alreadydone' };
const TOO_LATE: Answered = { command: 'tobekilled' };

/** Labels that a request's `prod_source_label` stands for. */
export function labelsFor(
  label: string | null,
  processing: { readonly hasElement: boolean },
): readonly string[] {
  const users = ['user', 'panda', 'install'];
  const production = ['managed', 'test', 'prod_test', 'install'];
  if (label === null || label === 'managed') return production;
  if (label === 'user') return users;
  if (label === 'unified') return [...production, ...users];
  if (label === 'test' && processing.hasElement) return ['prod_install', 'install', 'test', 'prod_test'];
  return [label];
}

export interface AcquireWish {
  readonly site: string;
  readonly count: number;
  readonly labels: readonly string[];
  readonly user: string | null;
  readonly memoryMB: number;
  readonly diskMB: number;
  readonly remainingSeconds: number;
}

/** The jobs of a server: what pilots, users, the adder and the watcher make of them. */
export class JobTable {
  readonly events: EventTable;
  /** The adder cannot register anything. */
  refusesResults = false;
  readonly #clock: Clock;
  readonly #settings: TableSettings;
  readonly #jobs = new Map<number, PandaJob>();
  readonly #timers = new Set<Cancel>();
  #nextId: number;
  #watch: Cancel | undefined;

  constructor(clock: Clock, settings: TableSettings, firstId = 4001) {
    this.#clock = clock;
    this.#settings = settings;
    this.#nextId = firstId;
    this.events = new EventTable();
    this.#watch = clock.schedule(WATCH_MS, () => this.#sweep());
  }

  submit(wanted: WantedJob): PandaJob {
    const id = this.#nextId++;
    const nowMs = this.#clock.monotonicMs();
    const job: PandaJob = {
      id,
      spec: completeJob(wanted, id),
      state: 'activated',
      attempt: 1,
      isArchived: false,
      setBy: 'server',
      given: undefined,
      report: '',
      command: 'NULL',
      sent: 0,
      changedMs: nowMs,
      heardMs: nowMs,
      fields: {},
      errors: {},
      history: ['activated'],
      reports: 0,
    };
    this.#jobs.set(id, job);
    if (job.spec.events !== undefined)
      this.events.open(id, job.spec.taskId ?? 0, job.spec.events, job.spec.eventsInRange);
    return job;
  }

  job(id: number): PandaJob | undefined {
    return this.#jobs.get(id);
  }

  jobs(): readonly PandaJob[] {
    return [...this.#jobs.values()];
  }

  /** `activated` to `sent`, best first, each to one caller only. */
  acquire(wish: AcquireWish): readonly Record<string, Json>[] {
    const waiting = this.jobs()
      .filter((job) => job.state === 'activated' && fits(job.spec, wish))
      .sort((one, other) => other.spec.priority - one.spec.priority || one.id - other.id)
      .slice(0, wish.count);
    return waiting.map((job) => {
      this.#enter(job, 'sent', 'server');
      job.sent += 1;
      return describeJob(job.spec, { id: job.id, attempt: job.attempt, sent: job.sent - 1 });
    });
  }

  update(id: number, update: Update): Answered {
    const job = this.#jobs.get(id);
    if (update.report !== '' && job !== undefined) job.reports += 1;
    if (job === undefined || job.isArchived) return TOO_LATE;
    if (update.attempt !== undefined && update.attempt !== job.attempt) return TOO_LATE;
    if (isOtherBatch(job, update.fields)) {
      job.errors['supErrorCode'] = 1;
      return TOO_LATE;
    }
    const isFinal = update.status === 'finished' || update.status === 'failed';
    return isFinal ? this.#end(job, update) : this.#move(job, update);
  }

  /** A user or the production system ends a job: at once while it waits, by its pilot where one has it. */
  kill(id: number, command = 'tobekilled'): boolean {
    const job = this.#jobs.get(id);
    if (job === undefined || isOver(job)) return false;
    if (job.state === 'activated') this.#finish(job, 'cancelled');
    else job.command = command;
    return true;
  }

  setCommand(id: number, command: string): boolean {
    const job = this.#jobs.get(id);
    if (job === undefined || isOver(job)) return false;
    job.command = command;
    return true;
  }

  /** After a time in which nobody could be heard, the watcher begins anew. */
  grace(): void {
    for (const job of this.#jobs.values()) job.heardMs = this.#clock.monotonicMs();
  }

  /** The server tries a job again by itself: a new attempt, and the old one's pilot is a stranger. */
  retry(id: number): void {
    const job = this.#jobs.get(id);
    if (job === undefined) return;
    job.attempt += 1;
    job.given = undefined;
    job.report = '';
    job.isArchived = false;
    job.command = 'NULL';
    this.events.giveBack(job.id);
    this.#enter(job, 'activated', 'server');
  }

  close(): void {
    this.#watch?.();
    this.#watch = undefined;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #move(job: PandaJob, update: Update): Answered {
    if (job.state === 'failed') return DONE;
    if (job.state === 'transferring' && job.setBy === 'server')
      return update.status === 'holding' ? DONE : NO_COMMAND;
    if (job.given === undefined) {
      this.#keep(job, update.fields);
      job.heardMs = this.#clock.monotonicMs();
    }
    if (job.state === 'holding') return NO_COMMAND;
    if (job.state === 'running' && update.status === 'starting') return { command: job.command };
    if (update.status === 'running') job.fields['start_time'] ??= this.#stamp();
    if (update.status === 'holding' || update.status === 'transferring')
      job.errors['jobDispatcherErrorDiag'] = `set to ${update.status} by the pilot at ${this.#stamp()}`;
    this.#enter(job, update.status as PandaState, 'pilot');
    return { command: job.command };
  }

  #end(job: PandaJob, update: Update): Answered {
    if (job.given !== undefined) return DONE;
    if (job.state === 'failed') return DONE;
    if (job.state === 'transferring' && job.setBy === 'server') return DONE;
    const command = job.command;
    this.#keep(job, update.fields);
    job.fields['end_time'] ??= this.#stamp();
    job.given = update.status === 'finished' ? 'finished' : 'failed';
    job.report = update.report;
    job.heardMs = this.#clock.monotonicMs();
    this.#enter(job, 'holding', 'pilot');
    const attempt = job.attempt;
    if (this.#settings.adderMs === 0) this.#add(job, attempt);
    else this.#later(this.#settings.adderMs, () => this.#add(job, attempt));
    return { command };
  }

  /** The adder daemon: the output report decides. */
  #add(job: PandaJob, attempt: number): void {
    if (job.attempt !== attempt || job.given === undefined || isOver(job)) return;
    if (job.given === 'failed') {
      this.#finish(job, job.command === 'tobekilled' ? 'cancelled' : 'failed');
      return;
    }
    const fault = this.refusesResults ? 'the dataset is closed' : reportFault(job.spec, job.report);
    if (fault !== undefined) {
      job.errors['ddmErrorCode'] = 200;
      job.errors['ddmErrorDiag'] = fault;
      this.#finish(job, 'failed');
      return;
    }
    if (this.#settings.transferMs === 0) {
      this.#finish(job, 'finished');
      return;
    }
    this.#enter(job, 'transferring', 'server');
    this.#later(this.#settings.transferMs, () => {
      if (job.attempt === attempt && job.state === 'transferring') this.#finish(job, 'finished');
    });
  }

  #finish(job: PandaJob, state: 'finished' | 'failed' | 'cancelled'): void {
    this.#enter(job, state, 'server');
    this.events.giveBack(job.id);
    if (state === 'failed' && job.attempt < job.spec.maxAttempt) {
      this.retry(job.id);
      return;
    }
    if (this.#settings.archiveMs === 0) job.isArchived = true;
    else this.#later(this.#settings.archiveMs, () => (job.isArchived = isOver(job)));
  }

  #sweep(): void {
    for (const job of this.#jobs.values()) {
      const code = this.#overdue(job);
      if (code === undefined) continue;
      job.errors['jobDispatcherErrorCode'] = code;
      job.errors['jobDispatcherErrorDiag'] =
        code === 100 ? `lost heartbeat : ${this.#stamp()}` : `no reply to ${job.state} job`;
      this.#finish(job, 'failed');
    }
    if (this.#watch !== undefined) this.#watch = this.#clock.schedule(WATCH_MS, () => this.#sweep());
  }

  /** The failure code of a job that was silent for too long. */
  #overdue(job: PandaJob): number | undefined {
    const silentMs = this.#clock.monotonicMs() - Math.max(job.heardMs, job.changedMs);
    const isUsers = job.spec.label === 'user' || job.spec.label === 'panda';
    if (job.state === 'sent' && silentMs > 30 * MINUTE_MS) return 102;
    if ((job.state === 'starting' || job.state === 'running') && silentMs > 2 * HOUR_MS) return 100;
    const isUrgent = isUsers || job.spec.priority > HIGH_PRIORITY;
    const holdingMs = isUrgent ? 3 * HOUR_MS : this.#settings.holdingMs;
    if (job.state === 'holding' && silentMs > holdingMs) return 103;
    if (job.state === 'transferring' && isUsers && silentMs > 2 * HOUR_MS) return 104;
    return undefined;
  }

  #keep(job: PandaJob, fields: Readonly<Record<string, Json>>): void {
    for (const [name, value] of Object.entries(fields)) {
      if (value === null || value === '') continue;
      const isTime = name === 'start_time' || name === 'end_time';
      // What is not in the documented form is dropped, and nobody is told.
      if (isTime && !/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/u.test(pythonText(value))) continue;
      job.fields[name] = value;
    }
  }

  #enter(job: PandaJob, state: PandaState, by: 'server' | 'pilot'): void {
    job.setBy = by;
    if (job.state === state) return;
    job.state = state;
    job.changedMs = this.#clock.monotonicMs();
    job.history.push(state);
  }

  #later(delayMs: number, act: () => void): void {
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#timers.delete(cancel);
      act();
    });
    this.#timers.add(cancel);
  }

  #stamp(): string {
    return new Date(this.#clock.wallMs()).toISOString().slice(0, 19).replace('T', ' ');
  }
}

function isOver(job: PandaJob): boolean {
  return job.state === 'finished' || job.state === 'failed' || job.state === 'cancelled';
}

function fits(spec: PandaSpec, wish: AcquireWish): boolean {
  return (
    spec.site === wish.site &&
    wish.labels.includes(spec.label) &&
    (wish.user === null || wish.user === spec.user) &&
    (wish.memoryMB === 0 || spec.memoryMB <= wish.memoryMB) &&
    (wish.diskMB === 0 || spec.diskMB <= wish.diskMB) &&
    (wish.remainingSeconds === 0 || spec.maxWallSeconds <= wish.remainingSeconds)
  );
}

function isOtherBatch(job: PandaJob, fields: Readonly<Record<string, Json>>): boolean {
  const [known, said] = [job.fields['batch_id'], fields['batch_id']];
  if (typeof known !== 'string' || typeof said !== 'string' || known === said) return false;
  return !/^\d+$/u.test(known) && !/^\d+$/u.test(said);
}
