import type { Ad } from './expression.ts';
import type { Scalar } from './scalar.ts';

/** Where names are looked up: an ad, the ads it is written inside, and, on the outermost, the ad on the other side of the match. */
export interface Scope {
  readonly ad: Ad;
  readonly parent: Scope | undefined;
  readonly target: Ad | undefined;
}

/** What an expression evaluates to. Absolute and relative times (absTime, relTime) are not values: times are integers. */
export type Value =
  | Scalar
  | { readonly kind: 'list'; readonly items: readonly Value[] }
  | { readonly kind: 'ad'; readonly scope: Scope };

/** What an evaluation may see beyond the two ads. Without it the functions that need it are an error, so that results repeat. */
export interface World {
  /** Whole seconds since the Unix epoch. */
  readonly nowSeconds: number;
  /** A number from 0 up to, not including, 1. */
  random(): number;
}
