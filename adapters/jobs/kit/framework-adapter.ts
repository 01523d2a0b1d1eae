import type { Clock, Log, Random } from '../../../protocol/runtime/runtime.ts';
import type { JobAdapter } from '../job-adapter.ts';
import type { AcceptedJobs } from './accepted-jobs.ts';
import type { BridgeAccess } from './bridge-access.ts';
import type { CeilingFile } from './ceiling.ts';
import type { CredentialFiles } from './credential-files.ts';
import type { FrameworkHttp } from './framework-http.ts';
import type { FrameworkSettings } from './framework-kind.ts';
import type { RefusedJobs } from './refused-jobs.ts';

/** The adapter of one framework, as its program runs it. */
export interface FrameworkAdapter extends JobAdapter {
  /** Jobs of the framework that are with us, for metrics. */
  unfinished(): number;
  /** Ends timers and what is under way; the program ends what it gave. Idempotent. */
  stop(): Promise<void>;
}

/** What an adapter is made of. All of it is the program's: an adapter opens nothing itself that a credential goes through. */
export interface FrameworkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** The adapter's service name. */
  readonly name: string;
  readonly settings: FrameworkSettings;
  /** To `settings.url`, with the credential of the moment. */
  readonly http: FrameworkHttp;
  /** The same to another address of the framework. */
  readonly openHttp: (url: string) => Promise<FrameworkHttp>;
  /** For what is not HTTP. */
  readonly credential: CredentialFiles;
  readonly ceiling: CeilingFile;
  /** Jobs that are never handed over are noted there, for their owners' questions. */
  readonly refused: RefusedJobs;
  /** Jobs that a broker has count against the ceiling after a restart too. */
  readonly accepted: AcceptedJobs;
  /** Undefined where the adapter is not told of the Data Bridge. */
  readonly bridge: BridgeAccess | undefined;
}

/** Rejects with `INVALID_CONFIGURATION` for an option that it cannot use; a framework that is down is no reason to reject. */
export type CreateFrameworkAdapter = (parts: FrameworkParts) => Promise<FrameworkAdapter>;
