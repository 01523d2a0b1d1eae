import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { StoredInput } from './input-store.ts';

/** What was put under the key of late, or is being put; else puts it. What failed is tried anew by the next job. */
export type PutOnce = (key: string, put: () => Promise<StoredInput>) => Promise<StoredInput>;

export interface KeptInputsOptions {
  readonly clock: Clock;
  /** As long as what was put is taken for the same. */
  readonly keptMs: number;
}

const MOST_KEPT = 256;

/** Brings inputs that many jobs share into the Data Bridge once in a while, not for each job. */
export function keptInputs({ clock, keptMs }: KeptInputsOptions): PutOnce {
  const kept = new Map<string, { readonly untilMs: number; readonly input: Promise<StoredInput> }>();
  return (key, put) => {
    const nowMs = clock.monotonicMs();
    const known = kept.get(key);
    if (known !== undefined && known.untilMs > nowMs) return known.input;
    const input = put();
    kept.delete(key);
    kept.set(key, { untilMs: nowMs + keptMs, input });
    const [oldest] = kept.keys();
    if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    input.catch(() => {
      if (kept.get(key)?.input === input) kept.delete(key);
    });
    return input;
  };
}
