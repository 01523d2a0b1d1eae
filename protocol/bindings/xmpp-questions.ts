import type { Element } from '@xmpp/client';
import { CoPilotError } from '../errors.ts';
import type { Cancel, Clock } from '../runtime/runtime.ts';

const ANSWER_WITHIN_MS = 5_000;
/** As many as an emergency that ends every login asks at once. */
const MAX_OPEN = 65_536;

interface Open {
  readonly settled: PromiseWithResolvers<Element>;
  readonly cancel: Cancel;
}

/** Questions to the server itself that it has not answered. */
export class Questions {
  readonly #clock: Clock;
  readonly #open = new Map<string, Open>();
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves with the answer. Rejects with `UNREACHABLE` without one in time, `BUS_CLOSED` where too many are open or the stream ends. */
  async ask(send: (id: string) => Promise<void>): Promise<Element> {
    if (this.#open.size >= MAX_OPEN)
      throw new CoPilotError('BUS_CLOSED', 'the server has more to answer than may wait');
    const id = `ask-${++this.#count}`;
    const settled = Promise.withResolvers<Element>();
    const cancel = this.#clock.schedule(ANSWER_WITHIN_MS, () =>
      settled.reject(new CoPilotError('UNREACHABLE', 'the server does not answer')),
    );
    this.#open.set(id, { settled, cancel });
    try {
      const [, answer] = await Promise.all([send(id), settled.promise]);
      return answer;
    } finally {
      cancel();
      this.#open.delete(id);
    }
  }

  /** Whether it answers one of them. */
  take(stanza: Element): boolean {
    const { id, type } = stanza.attrs;
    if (!stanza.is('iq') || (type !== 'result' && type !== 'error')) return false;
    const open = this.#open.get(id ?? '');
    open?.settled.resolve(stanza);
    return open !== undefined;
  }

  /** Nothing is answered any more. */
  lost(): void {
    for (const { settled } of this.#open.values())
      settled.reject(new CoPilotError('BUS_CLOSED', 'the connection to the bus was lost before its answer'));
  }
}
