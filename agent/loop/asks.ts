import { toCoPilotError } from '../../protocol/errors.ts';
import type { AgentMessage, BrokerMessage } from '../../protocol/messages.ts';
import type { Cancel, Clock, Random } from '../../protocol/runtime/runtime.ts';
import { backOffMs, jittered } from './wait.ts';

/** What became of something asked. `given-up`: the signal was aborted or the link closed; whether it was done is unknown. */
export type Answer<R> =
  | { readonly kind: 'answered'; readonly message: R }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'given-up' };

export interface Question<R> {
  readonly slot: number;
  /** The message under a counter; made anew for every send. */
  readonly build: (counter: number) => AgentMessage;
  /** The answer, where the message is one to this question. */
  readonly accept: (message: BrokerMessage) => R | undefined;
  readonly signal: AbortSignal;
  /** First wait before the same is sent again; doubles up to a minute. */
  readonly resendMs: number;
}

/** A question without its type of answer, as the table of open ones holds it. */
interface Open {
  readonly slot: number;
  counter: number;
  tries: number;
  cancelResend: Cancel;
  readonly resendMs: number;
  readonly message: () => AgentMessage;
  readonly offer: (message: BrokerMessage) => void;
  readonly refuse: (code: string, message: string) => void;
  readonly giveUp: () => void;
}

export interface AsksOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Seals and sends one message; false where there is no session, then the next welcome sends it. */
  readonly send: (message: AgentMessage) => boolean;
  /** The same was sent so often without an answer that the session itself is in doubt. */
  readonly onSilence: () => void;
}

/** The longest wait before the same is sent again; a parked request is sent again only after it. */
export const MAX_RESEND_MS = 60_000;
/** The least a parked request waits beyond that, give or take a quarter. */
const PARKED_SPREAD_MS = 10_000;
const SILENT_AFTER_TRIES = 4;

/**
 * One open question per slot. A question keeps its counter until it is answered, so that the broker answers a repeat
 * as it answered the first (docs/protocol.md, A).
 */
export class Asks {
  readonly #options: AsksOptions;
  readonly #open = new Map<number, Open>();
  readonly #lastCounters = new Map<number, number>();
  #closed = false;

  constructor(options: AsksOptions) {
    this.#options = options;
  }

  /** Asks once the slot is free; the caller sees to it that it asks one thing at a time in a slot. */
  ask<R>(question: Question<R>): Promise<Answer<R>> {
    if (this.#closed || question.signal.aborted) return Promise.resolve({ kind: 'given-up' });
    this.#open.get(question.slot)?.giveUp();
    return new Promise((resolve) => {
      const open = this.#enter(question, resolve);
      this.#send(open);
    });
  }

  isBusy(slot: number): boolean {
    return this.#open.has(slot);
  }

  isOpen(slot: number, counter: number): boolean {
    return this.#at(slot, counter) !== undefined;
  }

  /** An answer: settles the open question with its slot and counter, if it is one to it. */
  settle(message: BrokerMessage & { readonly slot: number; readonly counter: number }): void {
    this.#at(message.slot, message.counter)?.offer(message);
  }

  refuse(slot: number, counter: number, code: string, message: string): void {
    this.#at(slot, counter)?.refuse(code, message);
  }

  /** The broker's trouble of the moment: the same again after the usual wait. */
  postpone(slot: number, counter: number): void {
    const open = this.#at(slot, counter);
    if (open !== undefined) this.#resendLater(open);
  }

  /**
   * A new session: where the slots stand, and everything open is sent again. An open question whose counter the broker
   * passed without us was never taken, and gets a new one.
   */
  resume(slots: readonly { readonly slot: number; readonly counter: number }[]): void {
    for (const { slot, counter } of slots) {
      if (counter > this.#lastOf(slot)) this.#lastCounters.set(slot, counter);
      const open = this.#open.get(slot);
      if (open !== undefined && open.counter < counter) open.counter = this.#nextOf(slot);
    }
    for (const open of this.#open.values()) {
      open.tries = 0;
      this.#send(open);
    }
  }

  close(): void {
    this.#closed = true;
    for (const open of [...this.#open.values()]) open.giveUp();
  }

  #enter<R>(question: Question<R>, resolve: (answer: Answer<R>) => void): Open {
    const finish = (answer: Answer<R>): void => {
      if (this.#open.get(question.slot) !== open) return;
      this.#open.delete(question.slot);
      open.cancelResend();
      question.signal.removeEventListener('abort', open.giveUp);
      resolve(answer);
    };
    const open: Open = {
      slot: question.slot,
      counter: this.#nextOf(question.slot),
      tries: 0,
      cancelResend: () => undefined,
      resendMs: question.resendMs,
      message: () => question.build(open.counter),
      offer: (message) => {
        const accepted = question.accept(message);
        if (accepted !== undefined) finish({ kind: 'answered', message: accepted });
      },
      refuse: (code, message) => {
        finish({ kind: 'refused', code, message });
      },
      giveUp: () => {
        finish({ kind: 'given-up' });
      },
    };
    this.#open.set(question.slot, open);
    question.signal.addEventListener('abort', open.giveUp, { once: true });
    return open;
  }

  #send(open: Open): void {
    open.cancelResend();
    try {
      if (this.#options.send(open.message())) this.#resendLater(open);
    } catch (caught) {
      // Only our own message can be at fault here, and it will be no smaller the next time.
      const error = toCoPilotError(caught);
      open.refuse(error.code, error.message);
    }
  }

  #resendLater(open: Open): void {
    const { clock, random } = this.#options;
    open.cancelResend();
    const delayMs =
      open.resendMs >= MAX_RESEND_MS
        ? MAX_RESEND_MS + jittered(random, PARKED_SPREAD_MS)
        : backOffMs(random, open.tries, open.resendMs, MAX_RESEND_MS);
    open.cancelResend = clock.schedule(delayMs, () => {
      open.tries += 1;
      this.#send(open);
      if (open.tries % SILENT_AFTER_TRIES === 0 && open.resendMs < MAX_RESEND_MS) this.#options.onSilence();
    });
  }

  #at(slot: number, counter: number): Open | undefined {
    const open = this.#open.get(slot);
    return open?.counter === counter ? open : undefined;
  }

  #lastOf(slot: number): number {
    return this.#lastCounters.get(slot) ?? 0;
  }

  #nextOf(slot: number): number {
    const next = this.#lastOf(slot) + 1;
    this.#lastCounters.set(slot, next);
    return next;
  }
}
