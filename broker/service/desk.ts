import type { Outcome } from '../core/command.ts';
import type { JobRow } from '../core/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createHostClasses, type HostClass } from '../matching/host-class.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type * as types from '../../protocol/generated/types.ts';
import type { AgentMessage } from '../../protocol/messages.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import { withState } from './adapter-state.ts';
import type { Caller } from './agent-sessions.ts';
import type { AvailableJobs } from './available-jobs.ts';
import type { BrokerConfiguration, QueueConfiguration } from './configuration.ts';
import type { LeaseAnswers } from './lease-answer.ts';
import type { SeenAgents } from './seen-agents.ts';
import type { Verdicts } from './verdicts.ts';
import type { Verifier } from './verification.ts';

export interface DeskOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly jobs: AvailableJobs;
  readonly answers: LeaseAnswers;
  readonly verdicts: Verdicts;
  readonly verifier: Verifier;
  readonly ask: (service: string, body: AskBody) => Promise<AnswerBody>;
  readonly follow: (outcome: Outcome) => void;
  /** An agent waits and nothing here matches it: more jobs are wanted. */
  readonly hunger: () => void;
  readonly seen?: SeenAgents;
}

/** What a job adapter is told and need not act upon. */
export type Advice = Extract<AskBody, { readonly op: 'started' | 'renewed' }>;

/** What answering an agent takes. */
export interface Desk extends DeskOptions {
  readonly queues: ReadonlyMap<string, QueueConfiguration>;
  /** Advisory word to the job adapter: lost ones are made good by the final state. */
  tell(job: JobRow, body: Advice): void;
  /** Throws `MALFORMED_MESSAGE` for an ad that names an attribute twice. */
  classOf(ad: types.HostAd): HostClass;
}

/** A message that takes its turn in a slot. */
export type Turn = Extract<AgentMessage, { readonly slot: number }>;

/** Where an agent is told to come back by itself, it waits this long. */
export const BUSY_SECONDS = 5;

export const NO_WORK: types.NoWork = { reason: 'no-work', retryAfterSeconds: 0 };

export function createDesk(options: DeskOptions): Desk {
  const queues = new Map(options.configuration.queues.map((queue) => [queue.name, queue]));
  const hostClass = createHostClasses();
  return {
    ...options,
    queues,
    tell(job, body) {
      const queue = queues.get(job.queue);
      if (queue !== undefined) options.ask(queue.jobAdapter, withState(job, body)).catch(() => undefined);
    },
    classOf(ad) {
      try {
        return hostClass(ad);
      } catch (cause) {
        throw new CoPilotError('MALFORMED_MESSAGE', 'the host ad is no ad of literals', { cause });
      }
    },
  };
}

/** One slot of one start: what an older start left under way is not in the way of the next. */
export function slotKey(caller: Caller, turn: { readonly slot: number }): string {
  return `${caller.agent} ${caller.start} ${turn.slot}`;
}
