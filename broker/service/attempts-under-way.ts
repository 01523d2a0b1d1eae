import type { Ledger } from '../ledger/ledger.ts';
import type { Description } from '../../protocol/generated/types.ts';
import { parseDescription } from './description.ts';

/** Jobs under way that are remembered; of the others the ledger is asked. */
const MAX_REMEMBERED = 8192;

/** An attempt as it was leased by this start of the broker. */
export interface AttemptUnderWay {
  readonly job: string;
  readonly attempt: number;
  readonly agent: string;
  readonly queue: string;
}

interface Entry {
  readonly attempt: AttemptUnderWay;
  readonly outputs: readonly string[];
}

/** What was leased, remembered so that a report costs no reading. Soft: the ledger may know better. */
export interface AttemptsUnderWay {
  note(attempt: AttemptUnderWay, description: Description): void;
  /** Undefined where it is not remembered. */
  leased(job: string): AttemptUnderWay | undefined;
  /** Names of the files a result must have; undefined where they are not remembered. */
  requiredOutputs(job: string): readonly string[] | undefined;
  /** The same from the ledger. */
  readRequiredOutputs(job: string): Promise<readonly string[]>;
  forget(job: string): void;
}

export function createAttemptsUnderWay(ledger: Ledger): AttemptsUnderWay {
  const known = new Map<string, Entry>();
  return {
    note(attempt, description) {
      known.delete(attempt.job);
      known.set(attempt.job, { attempt, outputs: required(description) });
      const [oldest] = known.size > MAX_REMEMBERED ? known.keys() : [];
      if (oldest !== undefined) known.delete(oldest);
    },
    leased: (job) => known.get(job)?.attempt,
    requiredOutputs: (job) => known.get(job)?.outputs,
    async readRequiredOutputs(job) {
      const stored = await ledger.job(job);
      return stored === undefined ? [] : required(parseDescription(stored.description));
    },
    forget: (job) => void known.delete(job),
  };
}

function required({ outputs }: Description): readonly string[] {
  return outputs.filter(({ optional }) => optional !== true).map(({ name }) => name);
}
