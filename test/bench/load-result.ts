import { quantile } from './statistics.ts';

export interface LoadResult {
  /** Cycles or round trips. */
  readonly done: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
}

export function loadResult(latenciesMs: readonly number[], elapsedMs: number): LoadResult {
  return {
    done: latenciesMs.length,
    perSecond: (latenciesMs.length * 1000) / elapsedMs,
    p50Ms: quantile(latenciesMs, 0.5),
    p95Ms: quantile(latenciesMs, 0.95),
  };
}
