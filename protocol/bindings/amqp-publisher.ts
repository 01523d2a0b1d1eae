import type { ConfirmChannel } from 'amqplib';

/** Where on the server a frame is published. */
export interface Route {
  readonly exchange: string;
  readonly key: string;
}

/** What became of a frame: `no-route` means that no queue is there for it, `full` that one is and takes no more. */
export type Handover = 'taken' | 'no-route' | 'full' | 'lost';

interface Unconfirmed {
  isReturned: boolean;
}

/** The library's words for a message that the server did not want; it has no other sign. */
const NACKED = 'message nacked';

/** Publishes frames on one channel, each with the server's answer; holds a bounded number of bytes that wait for theirs. */
export class Publisher {
  readonly #channel: ConfirmChannel;
  readonly #maxBytes: number;
  readonly #gather: () => void;
  readonly #unconfirmed = new Map<string, Unconfirmed>();
  #bytes = 0;
  #count = 0;
  readonly #whenSettled: (() => void)[] = [];

  /** `gather` is called before each message. */
  constructor(channel: ConfirmChannel, maxBytes: number, gather: () => void) {
    this.#channel = channel;
    this.#gather = gather;
    this.#maxBytes = maxBytes;
    // A message comes back before it is confirmed.
    channel.on('return', ({ properties }) => {
      const unconfirmed = this.#unconfirmed.get(String(properties.messageId));
      if (unconfirmed !== undefined) unconfirmed.isReturned = true;
    });
  }

  publish({ exchange, key }: Route, frame: Uint8Array): Promise<Handover> {
    if (this.#bytes + frame.length > this.#maxBytes) return Promise.resolve('full');
    const messageId = String(++this.#count);
    const content = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
    const options = { mandatory: true, persistent: false, messageId };
    return new Promise((resolve) => {
      const unconfirmed = { isReturned: false };
      const settle = (error: unknown): void => {
        this.#forget(messageId, frame);
        resolve(handoverOf(error, unconfirmed));
      };
      this.#unconfirmed.set(messageId, unconfirmed);
      this.#bytes += frame.length;
      try {
        this.#gather();
        this.#channel.publish(exchange, key, content, options, settle);
      } catch (caught) {
        settle(caught); // the channel has closed
      }
    });
  }

  /** Resolves when nothing waits for its answer. */
  settled(): Promise<void> {
    if (this.#unconfirmed.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenSettled.push(resolve));
  }

  #forget(messageId: string, frame: Uint8Array): void {
    this.#unconfirmed.delete(messageId);
    this.#bytes -= frame.length;
    if (this.#unconfirmed.size > 0) return;
    for (const resolve of this.#whenSettled.splice(0)) resolve();
  }
}

function handoverOf(error: unknown, { isReturned }: Unconfirmed): Handover {
  if (error instanceof Error) return error.message === NACKED ? 'full' : 'lost';
  return isReturned ? 'no-route' : 'taken';
}
