import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { base64url, bytesOf, fromBase64url, hex } from '../../../protocol/encoding.ts';
import type { AgentHello, Identity } from '../../../protocol/generated/types.ts';
import { createInitiator } from '../../../protocol/session/initiator.ts';
import { judgeCertificate, signIdentity } from '../../../protocol/tokens.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent } from '../../doubles/raw-agent.ts';
import { createRecorder } from '../../transcript/recorder.ts';

const REQUEST = { kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] };
const PATIENCE_MS = 20_000;

let stage: BrokerStage;

beforeEach(async () => {
  stage = await createBrokerStage({ seed: 5 });
});

afterEach(async () => {
  await stage.stop();
});

describe('a broker’s side of the handshake', () => {
  // proves: S-5, S-6
  it('shows a certificate of the certifier for the key of the handshake, its versions and slots', async () => {
    const agent = await createRawAgent(stage, stage.enrol(), STAGE);
    await agent.hear('welcome');
    const hello = agent.brokerHello()!;
    const { crypto } = stage.runtimeOf('agent');
    const judged = judgeCertificate(
      crypto,
      stage.certifier.publicKey,
      hello.certificate,
      stage.clock.wallMs(),
    );
    expect(judged).toMatchObject({
      kind: 'valid',
      claims: { iss: STAGE, instance: 'broker-1', address: 'broker' },
    });
    expect(hello).toMatchObject({ versions: [1], session: expect.stringMatching(/^[0-9a-f]{16}$/) });
    expect(agent.initiator.isOpen).toBe(true);
  });

  // proves: S-8, S-26, W-1
  it('welcomes an agent first of all, by the name its identity gives it', async () => {
    const enrolled = stage.enrol();
    const agent = await createRawAgent(stage, enrolled, STAGE);
    const welcome = await agent.hear('welcome');
    expect(welcome).toEqual({ kind: 'welcome', agent: enrolled.agent, slots: [], held: [], verdicts: [] });
  });

  // proves: S-9, S-27
  it.each<[string, (hello: AgentHello) => object]>([
    ['no JSON fields', () => ({})],
    ['a field too many', (hello) => ({ ...hello, admin: true })],
    ['a version nobody offered', (hello) => ({ ...hello, version: 2 })],
    [
      'an identity signed by nobody',
      (hello) => ({ ...hello, identity: `${hello.identity.slice(0, -8)}AAAAAAAA` }),
    ],
    [
      'an identity of another installation',
      (hello) => ({ ...hello, identity: identityOf({ iss: 'other' }, hello) }),
    ],
    ['an identity for another session key', (hello) => ({ ...hello, identity: stage.enrol().identity })],
    [
      'an identity from the future',
      (hello) => ({ ...hello, identity: identityOf({ iat: 4_000_000_000 }, hello) }),
    ],
    ['another kind of hello', (hello) => ({ ...hello, kind: 'service-hello' })],
  ])('is silence after payload 3 with %s', async (_what, hello) => {
    const agent = await createRawAgent(stage, stage.enrol(), STAGE, { hello });
    await stage.clock.run(PATIENCE_MS);
    expect([agent.initiator.isOpen, agent.heard]).toEqual([false, []]);
    expect(stage.broker.status().connectedAgents).toBe(0);
  });

  // proves: S-10, M-21
  it('says farewell to an agent whose identity has ended, and nothing else', async () => {
    const now = Math.floor(stage.clock.wallMs() / 1000);
    const agent = await createRawAgent(stage, stage.enrol({ iat: now - 1000, exp: now - 61 }), STAGE);
    stage.submit();
    expect(await agent.hear('farewell')).toMatchObject({ code: 'IDENTITY_EXPIRED' });
    agent.say(REQUEST);
    await stage.clock.run(PATIENCE_MS);
    expect(agent.heard.filter(({ kind }) => kind !== 'farewell')).toEqual([]);
  });

  // proves: S-26
  it('keeps what an agent says before it was welcomed, and answers it then', async () => {
    stage.submit();
    const agent = await createRawAgent(stage, stage.enrol(), STAGE);
    while (!agent.initiator.isOpen) await stage.clock.run(1);
    agent.say(REQUEST);
    await agent.hear('job');
    expect(agent.heard).toEqual([]);
  });
});

describe('sessions of one agent', () => {
  // proves: S-25
  it('of one start on two connections coexist', async () => {
    const enrolled = stage.enrol();
    const first = await createRawAgent(stage, enrolled, STAGE, { address: 'raw.a' });
    await first.hear('welcome');
    const second = await createRawAgent(stage, enrolled, STAGE, { address: 'raw.b', start: first.start });
    await second.hear('welcome');
    await stage.clock.run(40_000);
    first.say({ kind: 'renew', slot: 0, counter: 1, leases: [], seen: [] });
    second.say({ kind: 'renew', slot: 0, counter: 2, leases: [], seen: [] });
    expect([(await first.hear('renewed')).counter, (await second.hear('renewed')).counter]).toEqual([1, 2]);
  });

  // proves: S-25
  it('on one connection replace each other: the older receives for 30 s more', async () => {
    const agent = await createRawAgent(stage, stage.enrol(), STAGE);
    await agent.hear('welcome');
    agent.initiator.connect();
    await agent.hear('welcome');
    agent.say(REQUEST);
    stage.submit();
    await agent.hear('job');
  });

  // proves: W-2
  it('of an earlier start are told that a newer one took over, and change nothing', async () => {
    const enrolled = stage.enrol();
    const old = await createRawAgent(stage, enrolled, STAGE);
    await old.hear('welcome');
    const young = await createRawAgent(stage, enrolled, STAGE);
    await young.hear('welcome');
    const job = stage.submit();
    await stage.clock.run(1_000);
    old.say(REQUEST);
    expect(await old.hear('farewell')).toMatchObject({ code: 'SUPERSEDED' });
    expect((await stage.ledger.job(job))?.job.state).toBe('queued');
  });

  // proves: W-8
  it('end when the agent is revoked, its lease with them', async () => {
    const agent = await createRawAgent(stage, stage.enrol(), STAGE);
    await agent.hear('welcome');
    const job = stage.submit();
    agent.say(REQUEST);
    await agent.hear('job');
    await stage.broker.revoke(agent.enrolled.agent, 'it was stolen');
    expect(await agent.hear('farewell')).toMatchObject({ code: 'REVOKED' });
    expect((await stage.ledger.job(job))?.job.state).toBe('queued');
    const again = await createRawAgent(stage, agent.enrolled, STAGE);
    expect(await again.hear('farewell')).toMatchObject({ code: 'REVOKED' });
  });

  // proves: W-8
  it('are not for a key that changes its owner', async () => {
    const enrolled = stage.enrol();
    await (await createRawAgent(stage, enrolled, STAGE)).hear('welcome');
    const { crypto } = stage.runtimeOf('agent');
    const claims = { ...enrolled.claims, owner: 'somebody-else' };
    const moved = { ...enrolled, claims, identity: signIdentity(crypto, stage.identityKey, claims) };
    const agent = await createRawAgent(stage, moved, STAGE);
    expect(await agent.hear('farewell')).toMatchObject({ code: 'OTHER_OWNER' });
  });
});

describe('a broker and its adapters', () => {
  // proves: S-15
  it('announce their session ids to each other in payloads 1 and 2', async () => {
    const recorder = createRecorder();
    const other = await createBrokerStage({ seed: 6, wrapCrypto: recorder.wrapCrypto });
    const said = recorder.lines.filter(({ to, from }) => to === 'jobs' || from === 'jobs');
    const hello = { kind: 'service-hello', session: expect.stringMatching(/^[0-9a-f]{16}$/), versions: [1] };
    expect(said[0]).toMatchObject({ from: 'broker', to: 'jobs', message: hello });
    expect(said[1]).toMatchObject({
      from: 'jobs',
      to: 'broker',
      message: { kind: 'service-welcome', version: 1 },
    });
    await other.stop();
  });

  // proves: S-16
  it.each([
    ['a stranger, who gets no word from it', false],
    ['the broker it is told of, who gets one', true],
  ])('the adapter hears %s', async (_who, isBroker) => {
    const runtime = stage.runtimeOf('agent');
    const heard: Uint8Array[] = [];
    const adapter = stage.adapterKeys.storage.publicKey;
    const bus = stage.network.bus('service.other');
    const initiator = createInitiator({
      runtime,
      pattern: 'IK',
      staticKey: isBroker ? stage.brokerKey : runtime.crypto.generate('x25519'),
      prologue: { installation: STAGE, responderRole: 'adapter storage' },
      responder: { key: adapter, keyId: 2 },
      payload1: (session) => bytesOf(JSON.stringify({ ...SERVICE_HELLO, session: hex(session) })),
      onResponderHello: () => undefined,
      send: (frame) => void bus.send('service.storage', frame),
      onOpen: () => undefined,
      onMessage: () => undefined,
      onLost: () => undefined,
    });
    bus.onFrame((_from, frame) => void heard.push(frame));
    await bus.start();
    initiator.connect();
    await stage.clock.run(PATIENCE_MS);
    initiator.close();
    expect(heard.length > 0).toBe(isBroker);
  });
});

const SERVICE_HELLO = { kind: 'service-hello', versions: [1], start: 'a'.repeat(26) };

/** An identity for the keys of the hello's own, signed by the installation. */
function identityOf(change: Partial<Identity>, hello: AgentHello): string {
  const [, body = ''] = hello.identity.split('.');
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString('utf8')) as Identity;
  expect(fromBase64url(claims.kex)).toHaveLength(32);
  expect(base64url(fromBase64url(claims.sig)!)).toBe(claims.sig);
  return signIdentity(stage.runtimeOf('agent').crypto, stage.identityKey, { ...claims, ...change });
}
