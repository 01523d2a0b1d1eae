import type { FrameworkAdapter } from '../../../adapters/jobs/kit/framework-adapter.ts';
import type { RefusedJob } from '../../../adapters/jobs/kit/refused-jobs.ts';
import type { FaultPlace, WireFault } from '../../doubles/wire-fault.ts';

/** The framework's own word for a job, in ours. */
export type FrameworkState = 'waiting' | 'taken' | 'running' | 'finished' | 'failed' | 'cancelled';

export type { FaultPlace, WireFault as FrameworkFault } from '../../doubles/wire-fault.ts';

export interface FrameworkOpening {
  /** Jobs that the adapter may have unfinished; its ceiling is large where it is left out. */
  readonly jobs?: number;
  /** The setting `attempts`. */
  readonly attempts?: number;
}

/** One adapter over the double of its framework, with the hands of the framework's user and of its operator. */
export interface FrameworkFixture {
  /** The adapter of the moment: another one after `reopen`. */
  readonly adapter: FrameworkAdapter;
  /** Our name of the queue that the jobs come from. */
  readonly queue: string;
  /** What is not to be found in any log or message: the credential, and what it was before. */
  readonly canaries: readonly string[];
  /** How long the framework waits for a job of which nothing is said. */
  readonly patienceMs: number;
  /** Faults that this framework's wire cannot have, each with the reason. */
  readonly cannot?: Readonly<Partial<Record<WireFault, string>>>;
  /** Descriptions that are wrong or hostile, by what is wrong with them; each is submitted with `submitHostile`. */
  readonly hostile: readonly string[];
  /** Submits good jobs by the framework's own API; answers their `NewJob.ref`. */
  submit(count: number): Promise<readonly string[]>;
  submitHostile(which: string): Promise<string>;
  /** A job that wants more than the adapter's ceiling allows. */
  submitHuge(): Promise<string>;
  state(ref: string): Promise<FrameworkState>;
  /** What the framework's user reads of why a job ended. */
  reason(ref: string): Promise<string>;
  /** Of how many events a submitted job is; where the framework has that of no job, it is not there. */
  events?(ref: string): number;
  /** What the adapter noted of jobs that it refused. */
  refused(): Promise<readonly RefusedJob[]>;
  /** How many jobs the framework counts as with us, and not ended. */
  taken(): Promise<number>;
  /** The framework's user wants the job ended. */
  kill(ref: string): Promise<void>;
  /** From now on, or for so many calls. */
  inject(fault: WireFault, place: FaultPlace, times?: number): void;
  /** Every answer takes so long. */
  slow(ms: number): void;
  /** No fault any more. After a time without anybody the framework waits for everybody anew. */
  heal(): void;
  /** From now on the framework's own check of a result fails. */
  refuseResults(): void;
  /** The framework lets the credential in no more. */
  expireCredential(): Promise<void>;
  /** A new one is in the file, and the framework takes it. */
  renewCredential(): Promise<void>;
  /** Turns the clocks on, and waits until nothing more is under way than what hangs. */
  advance(ms: number): Promise<void>;
  /** The wall clock of the adapter alone. */
  jumpWall(ms: number): void;
  /** Ends the adapter without warning and starts another over the same framework. */
  reopen(): Promise<void>;
  /** Timers of the adapter that wait. */
  timers(): number;
  /** Everything that the adapter logged. */
  written(): string;
  close(): Promise<void>;
}

export type OpenFixture = (opening?: FrameworkOpening) => Promise<FrameworkFixture>;
