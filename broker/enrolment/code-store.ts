import type { EnrolmentTerms } from './method.ts';

/** What a one-use code makes of whoever spends it. */
export type CodeTerms = EnrolmentTerms;

export type Spent =
  | { readonly kind: 'spent'; readonly terms: CodeTerms }
  /** Unknown, expired or spent by another key: one answer for all three, so that nothing can be probed. */
  | { readonly kind: 'refused' };

/** One-use codes. Only their digests are kept: whoever reads the store cannot enrol. */
export interface CodeStore {
  /** Durable before it resolves; rejects for a digest that is known. `digest` is the SHA-256 of the secret, `expiresMs` wall time. */
  add(digest: string, terms: CodeTerms, expiresMs: number): Promise<void>;
  /** Spends a code for a key; the same key may spend it again, since its answer may have been lost. Durable before it resolves. */
  spend(digest: string, key: string, nowMs: number): Promise<Spent>;
  close(): Promise<void>;
}
