import type { ConsumeMessage, Message } from 'amqplib';
import { describe, expect, it } from 'vitest';
import { Acknowledgements } from '../../../protocol/bindings/amqp-acknowledgements.ts';

const message = (deliveryTag: number) => ({ fields: { deliveryTag } }) as ConsumeMessage;

/** What the server is told, `5+` for all up to the fifth. */
function stage() {
  const told: string[] = [];
  const ack = ({ fields }: Message, allUpTo = false) =>
    void told.push(`${fields.deliveryTag}${allUpTo ? '+' : ''}`);
  const acknowledgements = new Acknowledgements({ ack }, () => undefined);
  for (let tag = 1; tag <= 6; tag++) acknowledgements.delivered(message(tag));
  return {
    told,
    handle: async (...tags: readonly number[]): Promise<void> => {
      for (const tag of tags) acknowledgements.handled(message(tag));
      await Promise.resolve();
    },
  };
}

describe('acknowledgements', () => {
  it('are one for all that was handled at once', async () => {
    const { told, handle } = stage();
    await handle(1, 2, 3, 4);
    await handle(5);
    expect(told).toEqual(['4+', '5+']);
  });

  it('leave out what is still being handled, and what comes after it is told one by one', async () => {
    const { told, handle } = stage();
    await handle(6, 1, 2, 4);
    expect(told).toEqual(['2+', '4', '6']);
    await handle(3, 5);
    expect(told).toEqual(['2+', '4', '6', '5+']);
  });

  it('are given once, for messages of this channel alone', async () => {
    const { told, handle } = stage();
    await handle(1, 1, 9);
    await handle(1);
    expect(told).toEqual(['1+']);
  });

  it('of a channel that has closed are nobody’s business', async () => {
    const ack = () => {
      throw new Error('Channel closed');
    };
    const acknowledgements = new Acknowledgements({ ack }, () => undefined);
    acknowledgements.delivered(message(1));
    acknowledgements.handled(message(1));
    await Promise.resolve();
  });
});
