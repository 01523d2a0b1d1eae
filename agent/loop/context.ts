import type { HostAd } from '../../protocol/generated/types.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import type { JobEnvironment } from '../environment/job-environment.ts';
import type { Launcher } from '../executors/launcher.ts';
import type { PilotHost } from '../pilot/pilot-host.ts';
import type { Store } from '../store/store.ts';
import type { Transfers } from '../transfers/transfers.ts';
import type { AgentEvent } from './events.ts';
import type { Link } from './link.ts';
import type { Renewals } from './renewals.ts';
import type { Verdicts } from './verdicts.ts';

/** The jail every job of this agent gets, beyond what its description asks for. */
export interface JobSurroundings {
  /** Absolute paths every job may read: the folder of the agent's own node. */
  readonly readOnly: readonly string[];
  readonly hiddenPaths: readonly string[];
  /** PATH of every job that does not set its own. */
  readonly path: string;
  /** Variables of every job, whatever its description says. */
  readonly variables: Readonly<Record<string, string>>;
  /** A program and its arguments that every job's command runs under; empty where it runs by itself. */
  readonly wrap: readonly string[];
  readonly network: 'host' | 'none';
}

/** What the parts of one agent share. */
export interface Context {
  readonly runtime: Runtime;
  readonly launcher: Launcher;
  readonly transfers: Transfers;
  readonly store: Store;
  readonly hostAd: () => HostAd;
  readonly link: Link;
  readonly renewals: Renewals;
  readonly verdicts: Verdicts;
  readonly surroundings: JobSurroundings;
  readonly environment: JobEnvironment;
  /** For jobs in pilot mode; undefined where this agent runs none. */
  readonly pilot: PilotHost | undefined;
  readonly installation: string;
  /** The agent's Ed25519 key. */
  readonly signingKey: PrivateKey;
  /** The agent's own name, known from the first welcome on. */
  readonly agentId: () => string;
  readonly emit: (event: AgentEvent) => void;
  readonly ended: (
    attempt: { readonly job: string; readonly attempt: number },
    end: 'lost' | 'cancelled' | 'released',
    reason: string,
  ) => void;
  /** This host is unfit for jobs: the agent drains, and says why. */
  readonly unfit: (reason: string) => void;
  /** Aborted when no new work is to be asked for. */
  readonly draining: AbortSignal;
  /** Aborted when the agent ends; nothing is awaited any more. */
  readonly closing: AbortSignal;
}
