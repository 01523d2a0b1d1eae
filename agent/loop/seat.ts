import type { Context } from './context.ts';

/** A slot's admission to the environment of its host: taken before work is, kept from job to job unless each must be examined anew. */
export class Seat {
  readonly #context: Context;
  readonly #slot: number;
  #leave: (() => void) | undefined;
  #admitted: Context;

  constructor(context: Context, slot: number) {
    this.#context = context;
    this.#slot = slot;
    this.#admitted = context;
  }

  /** The slot's context, with what the environment gives jobs. */
  get context(): Context {
    return this.#admitted;
  }

  /** Whether the slot may take a job now. A host that is unfit for one takes no more at all. */
  async take(): Promise<boolean> {
    const { environment, draining, surroundings } = this.#context;
    if (this.#leave !== undefined || draining.aborted) return !draining.aborted;
    if (environment.examines)
      this.#context.emit({ kind: 'slot', slot: this.#slot, phase: 'waiting', reason: 'examination' });
    const admission = await environment.admit(draining);
    if (admission.kind === 'unfit') this.#context.unfit(admission.reason);
    if (admission.kind !== 'fit') return false;
    this.#leave = admission.leave;
    const { variables, readOnly, wrap } = admission.extras;
    this.#admitted = {
      ...this.#context,
      surroundings: {
        ...surroundings,
        variables: { ...surroundings.variables, ...variables },
        readOnly: [...surroundings.readOnly, ...readOnly],
        wrap: [...surroundings.wrap, ...wrap],
      },
    };
    return true;
  }

  /** A job is over. */
  jobEnded(): void {
    if (this.#context.environment.examines) this.leave();
  }

  leave(): void {
    this.#leave?.();
    this.#leave = undefined;
    this.#admitted = this.#context;
  }
}
