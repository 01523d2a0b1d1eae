import { plainText } from './line.ts';
import type { LostAttempt } from './state.ts';

/** `attempt 1 of job x lost (agent killed); leased again after 9.8 s`. */
export function lostText({ job, attempt, reason, leasedAgainAfterMs }: LostAttempt): string {
  const lost = `attempt ${attempt} of job ${plainText(job)} lost (${plainText(reason)})`;
  if (leasedAgainAfterMs === undefined) return `${lost}; waiting to be leased again`;
  return `${lost}; leased again after ${(leasedAgainAfterMs / 1000).toFixed(1)} s`;
}
