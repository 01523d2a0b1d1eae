import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { bytesOf } from '../../../protocol/encoding.ts';
import type { Lease } from '../../../protocol/generated/types.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import { createInitiator } from '../../../protocol/session/initiator.ts';
import { signGrant } from '../../../protocol/tokens.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { type Carried, createManInTheMiddle, type ManInTheMiddle } from '../../doubles/man-in-the-middle.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { createRawAgent, type RawAgent } from '../../doubles/raw-agent.ts';

const USAGE = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 };
const OUTPUT = { name: 'muon-canary.dat', size: 10, sha256: 'ab'.repeat(32) };
const BROKER = 'broker';
const TRUSTED = new Set([BROKER, 'service.jobs', 'service.storage']);
const AGENT = 'raw.victim';

let stage: BrokerStage;
let operator: ManInTheMiddle;
let agent: RawAgent;
let counter: number;

beforeEach(async () => {
  stage = await createBrokerStage({
    seed: 11,
    tap: (network) => (operator = createManInTheMiddle(network)).network,
  });
  counter = 0;
  agent = await createRawAgent(stage, stage.enrol(), STAGE, { address: AGENT });
  await agent.hear('welcome');
});
afterEach(() => stage.stop());

async function lease(): Promise<Lease> {
  stage.submit({}, { outputs: [{ name: OUTPUT.name }], environment: { SECRET: 'electron-canary' } });
  agent.say({ kind: 'request', slot: 1, counter: ++counter, ad: {}, seen: [] });
  return (await agent.hear('job', 60_000)).lease;
}

async function put({ job, attempt, capabilities }: Lease): Promise<void> {
  const { token } = capabilities.find(({ verb }) => verb === 'put')!;
  await stage.storage.put({ job, attempt }, token, OUTPUT.name, OUTPUT);
}

function report({ job, attempt }: Lease): void {
  const said = { job, attempt, exit: { kind: 'exited' as const, code: 0 }, manifest: [OUTPUT] };
  agent.say({
    kind: 'report',
    slot: 1,
    counter: ++counter,
    ...said,
    usage: USAGE,
    logTail: '',
    seen: [],
    signature: agent.sign(said),
  });
}

/** A job from its request to its result, in which everything passes that passes at all. */
async function work(): Promise<Lease> {
  const held = await lease();
  await put(held);
  report(held);
  await agent.hear('reported', 120_000);
  return held;
}

/** All that counts: rows, what the framework was told, which files are somebody's result. */
async function state(...held: readonly Lease[]): Promise<unknown> {
  const agents = await stage.ledger.agent(agent.enrolled.agent);
  return structuredClone({
    counts: await stage.ledger.count(),
    jobs: await Promise.all(held.map(({ job }) => stage.ledger.job(job))),
    held: agents?.held,
    told: stage.framework.records().map(({ job, progress, told }) => ({ job: job.job, progress, told })),
  });
}

const flipped = ({ frame, ...where }: Carried, at: number): Carried => {
  const changed = new Uint8Array(frame);
  const index = at % changed.length;
  changed[index] = (changed[index] ?? 0) ^ 1;
  return { ...where, frame: changed };
};

describe('whoever runs the bus', () => {
  it('I10 reads nothing but sizes and addresses: no name, no credential, no word of any message', async () => {
    const held = await work();
    await stage.clock.run(10_000);
    expect(operator.seen.length).toBeGreaterThan(10);
    const { identity, owner } = { identity: agent.enrolled.identity, owner: agent.enrolled.claims.owner };
    const plain = [
      'muon-canary',
      'electron-canary',
      held.job,
      agent.enrolled.agent,
      identity,
      owner,
      'kind',
      'op"',
    ];
    const tokens = held.capabilities.map(({ token }) => token);
    for (const { frame } of operator.seen)
      for (const needle of [...plain, ...tokens])
        for (const form of [
          needle,
          Buffer.from(needle).toString('base64url'),
          Buffer.from(needle).toString('hex'),
        ])
          expect(Buffer.from(frame).includes(form)).toBe(false);
  });

  it('that alters every frame, at any place, changes no state; once it stops, work goes on', async () => {
    const held = await lease();
    await put(held);
    const before = await state(held);
    let at = 0;
    operator.meddle((carried) => [flipped(carried, (at += 7))]);
    for (let times = 0; times < 20; times++) {
      report(held);
      await stage.clock.run(1_000);
    }
    expect(await state(held)).toEqual(before);
    operator.meddle((carried) => [carried]);
    report(held);
    await agent.hear('reported', 30_000);
    await stage.clock.run(10_000);
    expect((await stage.ledger.job(held.job))?.job.state).toBe('told');
  });

  it('that plays every frame again, at once and in any later order, changes nothing twice', async () => {
    operator.meddle((carried) => [carried, carried, carried]);
    const held = await work();
    await stage.clock.run(10_000);
    const before = await state(held);
    expect((await stage.ledger.job(held.job))?.job.attempts.map(({ state: now }) => now)).toEqual([
      'committed',
    ]);
    operator.meddle((carried) => [carried]);
    for (const carried of [...operator.seen].toReversed()) operator.inject(carried);
    await stage.clock.run(10_000);
    for (const carried of [...operator.seen]) operator.inject(carried);
    await stage.clock.run(10_000);
    expect(await state(held)).toEqual(before);
    await work();
  });

  it('that brings frames to others than they were for, in any name, changes nothing', async () => {
    const held = await work();
    await stage.clock.run(10_000);
    const before = await state(held);
    const parties = [...TRUSTED, AGENT];
    for (const { from, to, frame } of [...operator.seen].slice(-60))
      for (const elsewhere of parties)
        for (const name of parties)
          if (elsewhere !== to || name !== from) operator.inject({ from: name, to: elsewhere, frame });
    await stage.clock.run(10_000);
    expect(await state(held)).toEqual(before);
    await work();
  });

  it('that drops half of what goes between broker and adapters delays, and loses nothing', async () => {
    const held = await lease();
    await put(held);
    const random = createSeededRandom(17);
    let dropped = 0;
    const isBetween = ({ from, to }: Carried): boolean => TRUSTED.has(from) && TRUSTED.has(to);
    operator.meddle((carried) => {
      if (!isBetween(carried) || random.bytes(1)[0]! < 128) return [carried];
      dropped += 1;
      return [];
    });
    report(held);
    await stage.clock.run(300_000);
    expect((await stage.ledger.job(held.job))?.job).toMatchObject({
      state: 'told',
      attempts: [{ number: held.attempt, state: 'committed' }],
    });
    expect(dropped).toBeGreaterThan(3);
  });

  it.each([
    ['grant', 'service.storage', BROKER],
    ['finished', 'service.jobs', BROKER],
    ['failed', 'service.jobs', BROKER],
    ['verdict', BROKER, 'service.storage'],
    ['available', BROKER, 'service.jobs'],
    ['kill', BROKER, 'service.jobs'],
  ])('that forges “%s” for %s in the name of %s is not heard', async (what, to, from) => {
    const held = await lease();
    const { job, attempt } = held;
    const crypto = createCrypto();
    const iat = Math.floor(stage.clock.wallMs() / 1000);
    const grant = signGrant(crypto, crypto.generate('ed25519'), {
      iss: STAGE,
      job,
      attempt,
      jkt: agent.enrolled.claims.sig,
      get: [],
      put: [{ name: OUTPUT.name, maxBytes: 10 }],
      totalBytes: 10,
      iat,
      exp: iat + 900,
    });
    const items: Readonly<Record<string, object>> = {
      grant: { op: 'grant', item: 1, grant },
      finished: { op: 'finished', item: 1, job, attempt, manifest: [OUTPUT], usage: USAGE },
      failed: { op: 'failed', item: 1, job, reason: 'so says the bus', failures: [] },
      verdict: { result: 'verified', item: 1, files: [OUTPUT] },
      available: { op: 'available', item: 1, queue: 'main', count: 1 },
      kill: { op: 'kill', item: 1, job, reason: 'so says the bus' },
    };
    const before = await state(held);
    const genuine = operator.seen.filter((carried) => carried.from === from && carried.to === to).at(-1);
    const text = bytesOf(JSON.stringify({ kind: 'ask', items: [items[what]] }));
    const header = genuine!.frame.subarray(0, 16);
    for (const frame of [text, new Uint8Array([...header, ...text])]) operator.inject({ from, to, frame });
    await stage.clock.run(10_000);
    expect(await state(held)).toEqual(before);
    expect(agent.heard).toEqual([]);
    await put(held);
    report(held);
    await agent.hear('reported', 60_000);
  });

  it('that speaks to an adapter by a session key of its own gets no answer, in the name of a broker or any other', async () => {
    const runtime = stage.runtimeOf('broker');
    const own = runtime.crypto.generate('x25519');
    const before = operator.seen.length;
    const opened: string[] = [];
    for (const name of ['jobs', 'storage'] as const) {
      const initiator = createInitiator({
        runtime,
        pattern: 'IK',
        staticKey: own,
        prologue: { installation: STAGE, responderRole: `adapter ${name}` },
        responder: { key: stage.adapterKeys[name].publicKey, keyId: name === 'jobs' ? 1 : 2 },
        payload1: () => bytesOf('{}'),
        onResponderHello: () => undefined,
        send: (frame) => operator.inject({ from: BROKER, to: `service.${name}`, frame }),
        onOpen: () => opened.push(name),
        onMessage: () => opened.push(name),
        onLost: () => undefined,
      });
      initiator.connect();
      await stage.clock.run(5_000);
      initiator.close();
    }
    expect(opened).toEqual([]);
    const answered = operator.seen.slice(before).filter(({ from }) => from.startsWith('service.'));
    expect(answered).toEqual([]);
  });
});
