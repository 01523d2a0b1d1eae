import { connectAmqp } from '../../../protocol/bindings/amqp-connect.ts';
import { TRUSTED_QUEUE } from '../../../protocol/bindings/amqp-topology.ts';
import { RAW_FRAME, type RawAmqpTransport, type RawClient } from './raw-transport.ts';

const QUEUE = 'bench.echo';
/** As many as the binding takes before it has handled one. */
const PREFETCH = 64;

/** Sends every frame back, with the confirms and acknowledgements of the binding. */
export async function serveRawAmqp({ url, user, password }: RawAmqpTransport): Promise<() => Promise<void>> {
  const model = await connectAmqp(url, { user, password });
  const channel = await model.createConfirmChannel();
  await channel.assertQueue(QUEUE, { durable: true, arguments: TRUSTED_QUEUE });
  await channel.prefetch(PREFETCH);
  await channel.consume(QUEUE, (message) => {
    if (message === null) return;
    channel.publish('', String(message.properties.replyTo), message.content, { mandatory: true }, () =>
      channel.ack(message),
    );
  });
  return () => model.close();
}

/** A client with a connection and a queue of its own. */
export async function connectRawAmqp({ url, user, password }: RawAmqpTransport): Promise<RawClient> {
  const model = await connectAmqp(url, { user, password });
  const channel = await model.createConfirmChannel();
  const { queue } = await channel.assertQueue('', { exclusive: true });
  let heard = (): void => undefined;
  await channel.consume(queue, (message) => {
    if (message === null) return;
    channel.ack(message);
    heard();
  });
  return {
    async roundTrip() {
      const answer = new Promise<void>((resolve) => {
        heard = resolve;
      });
      const confirmed = new Promise<void>((resolve, reject) => {
        channel.publish('', QUEUE, RAW_FRAME, { replyTo: queue, mandatory: true }, (error: unknown) =>
          error instanceof Error ? reject(error) : resolve(),
        );
      });
      await Promise.all([answer, confirmed]);
    },
    close: () => model.close(),
  };
}
