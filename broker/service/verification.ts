import type { Verification } from '../core/command.ts';
import type { FileDigest } from '../core/state.ts';
import type { Report } from '../../protocol/generated/types.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import type { AttemptsUnderWay } from './attempts-under-way.ts';
import type { QueueConfiguration } from './configuration.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';

export interface VerifierOptions {
  readonly clock: Clock;
  readonly queues: readonly QueueConfiguration[];
  readonly underWay: AttemptsUnderWay;
  readonly ask: (service: string, body: AskBody) => Promise<AnswerBody>;
  /** Whether an adapter would be asked at once. */
  readonly isOpen: (service: string) => boolean;
}

/** A result before the ledger's verdict on it. */
export interface Reported {
  readonly job: string;
  readonly attempt: number;
  readonly manifest: readonly FileDigest[];
}

/** Step 2 of the commit: what storage found of what was reported. */
export interface Verifier {
  /** Rejects where storage does not answer, or not to the question. May be asked any number of times. */
  verify(reported: Reported, queue: QueueConfiguration): Promise<Verification>;
  /**
   * Asks before the ledger has taken the report, for `AHEAD_MS` at most, so that both are recorded in one sync (docs/adr/0019). The question
   * is on its way when this returns; it never rejects. Undefined
   * where the attempt is not the agent's by what is remembered, where its result failed, or where storage has not spoken by then:
   * `verify` then waits for the same answer.
   */
  ahead(agent: string, report: Report): Promise<Verification | undefined>;
}

const AHEAD_MS = 250;

export function createVerifier({ clock, queues, underWay, ask, isOpen }: VerifierOptions): Verifier {
  const byName = new Map(queues.map((queue) => [queue.name, queue]));
  /** Asked ahead and unanswered, by what exactly was asked. */
  const asked = new Map<string, Promise<Verification>>();

  async function verify(reported: Reported, queue: QueueConfiguration): Promise<Verification> {
    const { job, attempt, manifest } = reported;
    const required = underWay.requiredOutputs(job) ?? (await underWay.readRequiredOutputs(job));
    underWay.forget(job);
    const named = new Set(manifest.map((file) => file.name));
    // What cannot be a result never reaches the storage adapter.
    const missing = required.find((name) => !named.has(name));
    if (missing !== undefined)
      return { kind: 'mismatch', reason: `the declared output ${missing} is not in the manifest` };
    const answer = await ask(queue.storageAdapter, { op: 'verify', job, attempt, manifest });
    if (answer.result === 'verified') return { kind: 'verified', files: answer.files };
    if (answer.result === 'mismatch') return { kind: 'mismatch', reason: answer.reason };
    throw unexpectedAnswer(answer);
  }

  function begin(reported: Reported, queue: QueueConfiguration): Promise<Verification> {
    const key = keyOf(reported);
    const answer = verify(reported, queue).finally(() => asked.delete(key));
    asked.set(key, answer);
    return answer;
  }

  return {
    verify: (reported, queue) => asked.get(keyOf(reported)) ?? verify(reported, queue),
    async ahead(agent, report) {
      const leased = underWay.leased(report.job);
      const queue = byName.get(leased?.queue ?? '');
      if (leased?.agent !== agent || leased.attempt !== report.attempt || queue === undefined)
        return undefined;
      if (!isSuccess(report) || !isOpen(queue.storageAdapter)) return undefined;
      return within(clock, begin(report, queue), AHEAD_MS);
    },
  };
}

function isSuccess({ exit }: Report): boolean {
  return exit.kind === 'exited' && exit.code === 0;
}

function keyOf({ job, attempt, manifest }: Reported): string {
  return JSON.stringify([job, attempt, manifest]);
}

/** Undefined where it rejects, or takes longer. */
function within<T>(clock: Clock, promise: Promise<T>, ms: number): Promise<T | undefined> {
  return new Promise((resolve) => {
    const cancel = clock.schedule(ms, () => resolve(undefined));
    const settle = (value?: T): void => {
      cancel();
      resolve(value);
    };
    promise.then(settle, () => settle());
  });
}
