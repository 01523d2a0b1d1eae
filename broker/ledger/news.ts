/** What a ledger hears of other brokers that share it. A ledger that no other can share has none. */
export interface LedgerNews {
  /**
   * Called after what it tells of is durable. News may be lost with a connection, and `missed` comes once it is there again, and when
   * another broker is gone: what that one had to do is anybody's.
   */
  onNews(handler: (news: News) => void): void;
}

export type News =
  /** These jobs wait for agents now. Some may be leased again by the time this is heard. */
  | { readonly kind: 'queued'; readonly jobs: readonly string[] }
  /** These agents should look at what they hold, or are wanted no more: their status changed, or a job of theirs was cancelled. */
  | { readonly kind: 'agents'; readonly agents: readonly string[] }
  /** Anything may have happened: look for jobs and duties in the whole ledger. */
  | { readonly kind: 'missed' };
