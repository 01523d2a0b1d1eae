import type { Channel, ConsumeMessage } from 'amqplib';

/** Tells the server what has been handled: in one word whatever was handled while one piece of the socket was read. */
export class Acknowledgements {
  readonly #channel: Pick<Channel, 'ack'>;
  readonly #gather: () => void;
  /** In the order of delivery, which is that of their tags. */
  readonly #running = new Set<number>();
  readonly #handled = new Map<number, ConsumeMessage>();

  /** `gather` is called before the server is told. */
  constructor(channel: Pick<Channel, 'ack'>, gather: () => void) {
    this.#channel = channel;
    this.#gather = gather;
  }

  delivered({ fields }: ConsumeMessage): void {
    this.#running.add(fields.deliveryTag);
  }

  handled(message: ConsumeMessage): void {
    const { deliveryTag } = message.fields;
    if (!this.#running.delete(deliveryTag)) return;
    if (this.#handled.size === 0) queueMicrotask(() => this.#tell());
    this.#handled.set(deliveryTag, message);
  }

  #tell(): void {
    const [oldest = Number.POSITIVE_INFINITY] = this.#running;
    const handled = [...this.#handled].toSorted(([one], [other]) => one - other);
    this.#handled.clear();
    const upTo = handled.findLast(([tag]) => tag < oldest);
    try {
      this.#gather();
      if (upTo !== undefined) this.#channel.ack(upTo[1], true);
      for (const [tag, message] of handled) if (tag > oldest) this.#channel.ack(message);
    } catch {
      // The channel has closed: the server forgets the messages, or hands them out again, and sessions drop repeats.
    }
  }
}
