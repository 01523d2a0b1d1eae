import type { Ledger } from '../ledger/ledger.ts';
import type { Description } from '../../protocol/generated/types.ts';
import { parseDescription } from './description.ts';

/** Jobs under way whose names are remembered; of the others the ledger is asked. */
const MAX_REMEMBERED = 8192;

/** The files a result must have: remembered while the job is under way, so that a report costs no reading. */
export interface RequiredOutputs {
  note(job: string, description: Description): void;
  /** Names, for the last time of this attempt. */
  take(job: string): Promise<readonly string[]>;
}

export function createRequiredOutputs(ledger: Ledger): RequiredOutputs {
  const known = new Map<string, readonly string[]>();
  return {
    note(job, description) {
      known.delete(job);
      known.set(job, required(description));
      const [oldest] = known.size > MAX_REMEMBERED ? known.keys() : [];
      if (oldest !== undefined) known.delete(oldest);
    },
    async take(job) {
      const names = known.get(job);
      known.delete(job);
      if (names !== undefined) return names;
      const stored = await ledger.job(job);
      return stored === undefined ? [] : required(parseDescription(stored.description));
    },
  };
}

function required({ outputs }: Description): readonly string[] {
  return outputs.filter(({ optional }) => optional !== true).map(({ name }) => name);
}
