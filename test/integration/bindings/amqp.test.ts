import { afterAll, beforeAll, describe } from 'vitest';
import { AMQP_HANDLERS } from '../../../protocol/bindings/amqp-port.ts';
import { busConformance } from '../../conformance/bus.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import {
  clearEntrance,
  LACKS_RABBIT,
  type LockedRabbit,
  openLockedRabbit,
} from '../../doubles/locked-rabbitmq.ts';

describe.skipIf(LACKS_RABBIT)('on RabbitMQ (left out where it is not installed)', () => {
  let rabbit: LockedRabbit;

  beforeAll(async () => {
    rabbit = await openLockedRabbit();
  });
  afterAll(() => rabbit.stop());

  busConformance({
    name: 'amqp',
    handlersAtOnce: AMQP_HANDLERS,
    outboxFrames: 64,
    async pair(clock) {
      const agent = rabbit.agent();
      const broker = rabbit.broker({ clock });
      const proxy = await openFaultProxy();
      proxy.target(rabbit.server.port);
      const start = broker.start.bind(broker);
      return {
        // An agent has a queue from its enrolment on.
        broker: {
          ...broker,
          async start() {
            await start();
            await broker.admit(agent.user);
          },
        },
        client: rabbit.agentBus(agent, { clock, url: `amqp://127.0.0.1:${proxy.port}` }),
        async interrupt(same, whileDown) {
          proxy.target(1);
          proxy.cutAll();
          await whileDown();
          proxy.target(rabbit.server.port);
          return same;
        },
        async release() {
          await proxy.close();
          await clearEntrance(rabbit);
        },
      };
    },
  });
});
