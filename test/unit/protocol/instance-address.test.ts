import { expect, it } from 'vitest';
import { Link } from '../../../agent/loop/link.ts';
import { createMemoryNetwork } from '../../../protocol/bindings/memory.ts';
import { base64url, bytesOf, fromHex, hex } from '../../../protocol/encoding.ts';
import { isAgentHello } from '../../../protocol/generated/validators.js';
import { decodeAs, encodeMessage } from '../../../protocol/messages.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import { createResponder } from '../../../protocol/session/responder.ts';
import { signCertificate } from '../../../protocol/tokens.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const INSTALLATION = 'example';
const INSTANCE = 'broker.2';

// proves: S-7
it('message 1 goes to the shared address, message 3 and frames to the instance that answered', async () => {
  const clock = createManualClock();
  const random = createSeededRandom(9);
  const crypto = createCrypto(random);
  const runtime: Runtime = { clock, random, crypto, log: silentLog };
  const network = createMemoryNetwork({ clock, random });
  const keys = { certifier: crypto.generate('ed25519'), broker: crypto.generate('x25519') };
  const shared = network.bus('broker');
  const own = network.bus(INSTANCE);
  const heard: string[] = [];
  const responder = createResponder<string>({
    runtime,
    pattern: 'XX',
    staticKeys: new Map([[0, keys.broker]]),
    prologue: { installation: INSTALLATION, responderRole: 'broker' },
    hello: (sessionId) => {
      const iat = Math.floor(clock.wallMs() / 1000);
      const kex = base64url(keys.broker.publicKey.raw);
      const claims = { iss: INSTALLATION, instance: INSTANCE, kex, address: INSTANCE, iat, exp: iat + 60 };
      const certificate = signCertificate(crypto, keys.certifier, claims);
      const session = hex(sessionId);
      return bytesOf(
        JSON.stringify({ kind: 'broker-hello', certificate, session, versions: [1], maxSlots: 4 }),
      );
    },
    authenticate: (payload) => ({
      principal: 'somebody',
      peerSessionId: fromHex(decodeAs(payload, isAgentHello).session),
    }),
    send: (to, frame) => void own.send(to, frame),
    onSession(session) {
      const welcome = { kind: 'welcome', agent: 'a'.repeat(26), slots: [], held: [], verdicts: [] };
      session.send(encodeMessage(welcome));
    },
    onMessage: () => undefined,
  });
  for (const [name, bus] of Object.entries({ shared, own })) {
    bus.onFrame((from, frame) => {
      heard.push(`${name} ${frame[0] ?? 0}`);
      responder.receive(from, frame);
    });
    await bus.start();
  }
  const welcomed: string[] = [];
  const bus = network.bus('agent.1');
  const link = new Link({
    runtime,
    bus,
    sessionKey: crypto.generate('x25519'),
    installation: INSTALLATION,
    certifier: keys.certifier.publicKey,
    start: 'a'.repeat(26),
    identity: () => 'x',
    renewIdentity: async () => undefined,
    onWelcome: ({ agent }) => void welcomed.push(agent),
    onVerdicts: () => undefined,
    onNotice: () => undefined,
    onFarewell: () => undefined,
    onStray: () => undefined,
    onState: () => undefined,
  });
  await bus.start();
  link.begin();
  await clock.run(500);
  void link.renew({ leases: [], seen: [] }, 1000, new AbortController().signal);
  await clock.run(0);
  expect(welcomed).toHaveLength(1);
  expect(heard).toEqual(['shared 1', 'own 3', 'own 4']);
  link.close();
  responder.stop();
});
