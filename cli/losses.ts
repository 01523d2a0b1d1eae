/** One attempt that its agent lost, and what became of its job. */
export interface Loss {
  readonly job: string;
  readonly attempt: number;
  readonly cause: string;
  /** Milliseconds by the caller's clock. */
  readonly atMs: number;
  readonly end:
    | { readonly kind: 'leased-again' | 'continued' | 'reported'; readonly afterMs: number }
    | undefined;
}

/** Keeps account of attempts whose machine was taken away: which were leased again, and how long that took. */
export class Losses {
  readonly #nowMs: () => number;
  readonly #holders = new Map<string, { readonly job: string; readonly attempt: number }>();
  readonly #losses: Loss[] = [];

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get all(): readonly Loss[] {
    return this.#losses;
  }

  /** An attempt of a job began on an agent. */
  leased(agent: string, job: string, attempt: number): void {
    this.#holders.set(agent, { job, attempt });
    this.#settle('leased-again', (loss) => loss.job === job && attempt > loss.attempt);
  }

  /** The attempt ended with a result. */
  ended(job: string, attempt: number): void {
    this.#settle('reported', (loss) => loss.job === job && loss.attempt === attempt);
    for (const [agent, held] of this.#holders) if (held.job === job) this.#holders.delete(agent);
  }

  /** The agent goes on with what it had. */
  continued(job: string, attempt: number): void {
    this.#settle('continued', (loss) => loss.job === job && loss.attempt === attempt);
  }

  /** The agent's machine is gone from now on. */
  taken(agent: string, cause: string): Loss | undefined {
    const held = this.#holders.get(agent);
    if (held === undefined) return undefined;
    const loss: Loss = { ...held, cause, atMs: this.#nowMs(), end: undefined };
    this.#losses.push(loss);
    return loss;
  }

  #settle(kind: 'leased-again' | 'continued' | 'reported', matches: (loss: Loss) => boolean): void {
    for (const [index, loss] of this.#losses.entries()) {
      if (loss.end !== undefined || !matches(loss)) continue;
      this.#losses[index] = { ...loss, end: { kind, afterMs: this.#nowMs() - loss.atMs } };
    }
  }
}
