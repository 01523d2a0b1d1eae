import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../protocol/runtime/runtime.ts';

const HOUR_MS = 3_600_000;
const LIFE_MS = 96 * HOUR_MS;

interface Key {
  readonly value: string;
  readonly madeMs: number;
}

/** Keys by which a client fetches the server's one token for it: a new one at most hourly, each for 96 hours. */
export class TokenKeys {
  readonly #clock: Clock;
  readonly #keys = new Map<string, Key[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  issue(client: string): string {
    const keys = this.#live(client);
    const newest = keys.at(-1);
    if (newest !== undefined && this.#clock.monotonicMs() - newest.madeMs < HOUR_MS) return newest.value;
    const value = randomUUID().replaceAll('-', '');
    this.#keys.set(client, [...keys, { value, madeMs: this.#clock.monotonicMs() }]);
    return value;
  }

  isOf(client: string, value: string): boolean {
    return this.#live(client).some((key) => key.value === value);
  }

  #live(client: string): readonly Key[] {
    const nowMs = this.#clock.monotonicMs();
    return (this.#keys.get(client) ?? []).filter((key) => nowMs - key.madeMs < LIFE_MS);
  }
}
