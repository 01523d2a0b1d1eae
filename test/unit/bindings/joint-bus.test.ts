import { describe, expect, it } from 'vitest';
import { BROKER_ADDRESS, type Bus } from '../../../protocol/bindings/bus.ts';
import { createJointBus, throughDoor } from '../../../protocol/bindings/joint-bus.ts';
import { createMemoryNetwork, type MemoryNetwork } from '../../../protocol/bindings/memory.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { busConformance } from '../../conformance/bus.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

busConformance({
  name: 'two memory buses joined',
  handlersAtOnce: 64,
  outboxFrames: 0,
  async pair(clock) {
    const network = createMemoryNetwork({ clock, onError: () => undefined });
    const other = createMemoryNetwork({ clock });
    return {
      broker: joined({ first: network.bus(BROKER_ADDRESS), second: other.bus(BROKER_ADDRESS) }),
      client: network.bus('agent-1'),
      async interrupt(broker, whileDown) {
        network.disconnect('agent-1');
        await whileDown();
        network.reconnect('agent-1');
        return broker;
      },
      release: async () => undefined,
    };
  },
});

function joined(doors: Readonly<Record<string, Bus>>, needs: 'all' | 'one' = 'all'): Bus {
  const list = Object.entries(doors).map(([name, bus]) => ({ name, bus }));
  return createJointBus({ doors: list, needs, log: silentLog });
}

/** A bus whose start ends as told. */
function starting(network: MemoryNetwork, start: () => Promise<void>) {
  const bus = network.bus(BROKER_ADDRESS);
  let stops = 0;
  return {
    stops: () => stops,
    bus: Object.assign(Object.create(bus) as Bus, {
      start,
      onFrame: bus.onFrame.bind(bus),
      onGone: bus.onGone.bind(bus),
      onConnection: bus.onConnection.bind(bus),
      async stop() {
        stops += 1;
      },
    }),
  };
}

const leaks = (): Promise<void> =>
  Promise.reject(new CoPilotError('INVALID_CONFIGURATION', 'an agent may read what it must not'));
const never = (): Promise<void> => new Promise(() => undefined);

async function stage() {
  const clock = createManualClock();
  const networks = { first: createMemoryNetwork({ clock }), second: createMemoryNetwork({ clock }) };
  const broker = joined({
    first: networks.first.bus(BROKER_ADDRESS),
    second: networks.second.bus(BROKER_ADDRESS),
  });
  const told: string[] = [];
  broker.onFrame((from) => broker.send(from, new Uint8Array([1])));
  broker.onConnection((state, door) => told.push(`${door ?? ''} ${state}`));
  broker.onGone((address) => told.push(`${address} gone`));
  await broker.start();
  const answers: string[] = [];
  const join = async (door: 'first' | 'second'): Promise<Bus> => {
    const bus = networks[door].bus('agent-1');
    bus.onFrame(() => void answers.push(door));
    await bus.start();
    return bus;
  };
  return { clock, networks, broker, told, answers, join };
}

describe('two buses joined', () => {
  it('answers the same name on either bus where it asked', async () => {
    const { clock, answers, join } = await stage();
    await (await join('second')).send(BROKER_ADDRESS, new Uint8Array(1));
    await (await join('first')).send(BROKER_ADDRESS, new Uint8Array(1));
    await clock.run(10);
    expect(answers).toEqual(['second', 'first']);
  });

  it('tells of which bus a connection was lost, and serves on over the other', async () => {
    const { clock, networks, told, answers, join } = await stage();
    const agent = await join('second');
    networks.first.disconnect(BROKER_ADDRESS);
    await agent.send(BROKER_ADDRESS, new Uint8Array(1));
    await clock.run(10);
    expect(told).toEqual(['first up', 'second up', 'first down']);
    expect(answers).toEqual(['second']);
  });

  it('tells that a party is gone from one bus, and keeps the party of the same name on the other', async () => {
    const { clock, told, answers, join } = await stage();
    const [leaving, staying] = [await join('first'), await join('second')];
    await leaving.stop();
    expect(told.at(-1)).toBe(`${throughDoor('first', 'agent-1')} gone`);
    await staying.send(BROKER_ADDRESS, new Uint8Array(1));
    await clock.run(10);
    expect(answers).toEqual(['second']);
  });

  it.each(['agent-1', 'third!agent-1', '!agent-1', 'first'])('knows nobody at %s', async (address) => {
    const { broker, join } = await stage();
    await join('first');
    await expect(broker.send(address, new Uint8Array(1))).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('lets no party of one bus be taken for one of another by the name it has', async () => {
    const { clock, networks, answers, join } = await stage();
    await join('second');
    const impostor = networks.first.bus('second!agent-1');
    let heard = 0;
    impostor.onFrame(() => void (heard += 1));
    await impostor.start();
    await impostor.send(BROKER_ADDRESS, new Uint8Array(1));
    await clock.run(10);
    expect(heard).toBe(1);
    expect(answers).toEqual([]);
  });
});

describe('the start of two buses joined', () => {
  const up = () => createMemoryNetwork({ clock: createManualClock() });

  it('waits for all of them where all are needed', async () => {
    const late = Promise.withResolvers<undefined>();
    const second = starting(up(), async () => {
      await late.promise;
    });
    let isUp = false;
    const started = joined({ first: up().bus(BROKER_ADDRESS), second: second.bus })
      .start()
      .then(() => (isUp = true));
    await new Promise(setImmediate);
    expect(isUp).toBe(false);
    late.resolve(undefined);
    await started;
    expect(isUp).toBe(true);
  });

  it('serves as soon as one is up where one is enough', async () => {
    await joined({ first: starting(up(), never).bus, second: up().bus(BROKER_ADDRESS) }, 'one').start();
  });

  it('refuses to serve where one of those needed leaks', async () => {
    const leaking = starting(up(), leaks);
    const bus = joined({ first: up().bus(BROKER_ADDRESS), second: leaking.bus });
    await expect(bus.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
    expect(leaking.stops()).toBe(1);
  });

  it('lets one that leaks go, and serves on over the other, where one is enough', async () => {
    const leaking = starting(up(), leaks);
    await joined({ first: leaking.bus, second: up().bus(BROKER_ADDRESS) }, 'one').start();
    expect(leaking.stops()).toBe(1);
  });

  it('says why where none is left', async () => {
    const bus = joined({ first: starting(up(), leaks).bus, second: starting(up(), leaks).bus }, 'one');
    await expect(bus.start()).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });
});
