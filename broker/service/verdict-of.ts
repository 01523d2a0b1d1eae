import type { JobRow } from '../core/state.ts';
import type { Verdict } from '../../protocol/generated/types.ts';

/** How far a report is, by the row alone. */
export function verdictOf(
  job: JobRow | undefined,
  number: number,
): { readonly verdict: Verdict; readonly reason: string } {
  const attempt = job?.attempts.find((entry) => entry.number === number);
  switch (attempt?.state) {
    case 'live':
    case 'reported':
    case 'committing':
      return { verdict: 'verifying', reason: '' };
    case 'waiting':
      return { verdict: 'waiting', reason: '' };
    case 'committed':
      return { verdict: 'committed', reason: '' };
    case 'void':
      return { verdict: 'refused', reason: attempt.reason };
    case undefined:
      return { verdict: 'refused', reason: 'the attempt is not known any more' };
  }
}
