import { describe, expect, it } from 'vitest';
import { type Address, BROKER_ADDRESS } from '../../../protocol/bindings/bus.ts';
import { createMemoryNetwork, type Faults } from '../../../protocol/bindings/memory.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { createInitiator } from '../../../protocol/session/initiator.ts';
import type { Pattern } from '../../../protocol/session/noise.ts';
import { createResponder } from '../../../protocol/session/responder.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { concatenate, decode, encode } from '../../doubles/session-world.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const PROLOGUE = { installation: 'test', responderRole: 'broker' };
const BAD: Partial<Faults> = { delayMs: [1, 400], drop: 0.25, duplicate: 0.25, reorder: 0.25 };
const seeds = Array.from({ length: 15 }, (_, at) => at + 1);

/** Both ends over a network that does everything a bus may do. */
async function start(pattern: Pattern, seed: number) {
  const clock = createManualClock();
  const random = createSeededRandom(seed);
  const crypto = createCrypto(random);
  const runtime: Runtime = { clock, random, crypto, log: silentLog };
  const network = createMemoryNetwork({ clock, random, faults: BAD });
  const staticKey = crypto.generate('x25519');
  const arrived: string[] = [];
  const answers: string[] = [];

  const startBroker = async () => {
    const bus = network.bus(BROKER_ADDRESS);
    const responder = createResponder<string>({
      runtime,
      pattern,
      staticKeys: new Map([[0, staticKey]]),
      prologue: PROLOGUE,
      hello: (sessionId) => sessionId,
      authenticate: (payload) => ({ principal: 'agent', peerSessionId: payload.slice(0, 8) }),
      send: (to: Address, frame) => void bus.send(to, frame).catch(() => undefined),
      onSession: () => undefined,
      onMessage(session, message) {
        arrived.push(decode(message));
        session.send(encode(`answer to ${decode(message)}`));
      },
    });
    bus.onFrame((from, frame) => responder.receive(from, frame));
    await bus.start();
    return responder;
  };

  const bus = network.bus('agent');
  const common = {
    runtime,
    staticKey: crypto.generate('x25519'),
    prologue: PROLOGUE,
    onResponderHello: (payload2: Uint8Array, _key: Uint8Array, own: Uint8Array) => ({
      payload3: concatenate(own, encode('agent')),
      sessionId: payload2,
    }),
    send: (frame: Uint8Array) => void bus.send(BROKER_ADDRESS, frame).catch(() => undefined),
    onOpen: () => undefined,
    onMessage: (message: Uint8Array) => void answers.push(decode(message)),
    onLost: () => undefined,
  };
  const initiator =
    pattern === 'XX'
      ? createInitiator({ ...common, pattern })
      : createInitiator({
          ...common,
          pattern,
          responder: { key: staticKey.publicKey, keyId: 0 },
          payload1: (own) => own,
        });
  bus.onFrame((_from, frame) => initiator.receive(frame));
  await bus.start();
  return { clock, network, initiator, startBroker, arrived, answers };
}

/** What an agent does: asks under one number until it is answered, however long that takes. */
async function askUntilAnswered(world: Awaited<ReturnType<typeof start>>, question: string): Promise<number> {
  const { clock, initiator, answers } = world;
  let sent = 0;
  for (let tries = 0; tries < 200 && !answers.includes(`answer to ${question}`); tries++) {
    if (initiator.send(encode(question))) sent++;
    await clock.run(2000);
  }
  expect(answers).toContain(`answer to ${question}`);
  return sent;
}

describe.each(['XX', 'IK'] as const)('%s over a bus that loses, repeats, delays and reorders', (pattern) => {
  it.each(seeds)(
    'seed %i: every question is answered, no frame delivered twice, also across restarts of the broker',
    async (seed) => {
      const world = await start(pattern, seed);
      let responder = await world.startBroker();
      world.initiator.connect();
      let sent = 0;
      for (let question = 0; question < 12; question++) {
        sent += await askUntilAnswered(world, `question ${question}`);
        if (question % 5 !== 4) continue;
        world.network.kill(BROKER_ADDRESS);
        await world.clock.run(3000);
        responder = await world.startBroker();
      }
      expect(world.arrived.length).toBeLessThanOrEqual(sent);
      expect(world.answers.length).toBeLessThanOrEqual(world.arrived.length);
      expect(responder.counters.forged).toBe(0);
      expect(world.initiator.counters.forged).toBe(0);
    },
  );
});
