import type { Ad } from './expression.ts';
import type { Scalar } from './scalar.ts';

/** Where names are looked up: an ad, the ads it is written inside, and, on the outermost, the ad on the other side of the match. */
export interface Scope {
  readonly ad: Ad;
  readonly parent: Scope | undefined;
  readonly target: Ad | undefined;
}

/** What an expression evaluates to. Absolute and relative times (absTime, relTime) are not values yet. */
export type Value =
  | Scalar
  | { readonly kind: 'list'; readonly items: readonly Value[] }
  | { readonly kind: 'ad'; readonly scope: Scope };
