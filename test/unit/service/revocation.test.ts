import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Capability, Lease } from '../../../protocol/generated/types.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent, type RawAgent } from '../../doubles/raw-agent.ts';

const USAGE = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };
const OUTPUT = { name: 'events.dat', size: 10, sha256: 'ab'.repeat(32) };
const LONGEST_MS = 15 * 60_000;
const STEP_MS = 20_000;

let stage: BrokerStage;
let agent: RawAgent;
let evicted: string[];
let counter: number;

beforeEach(async () => {
  evicted = [];
  stage = await createBrokerStage({
    seed: 3,
    evict: async (who, addresses) => void evicted.push(`${who} at ${addresses.join(' ')}`),
  });
  counter = 0;
  agent = await createRawAgent(stage, stage.enrol(), STAGE, { address: 'peer-1' });
  await agent.hear('welcome');
});
afterEach(() => stage.stop());

async function lease(): Promise<Lease> {
  stage.submit();
  agent.say({ kind: 'request', slot: 1, counter: ++counter, ad: {}, seen: [] });
  return (await agent.hear('job')).lease;
}

const outputs = ({ job, attempt }: Lease) => ({
  kind: 'outputs',
  slot: 1,
  counter: ++counter,
  job,
  attempt,
  verb: 'put',
  files: [OUTPUT],
});

/** Whether storage takes bytes for it now. */
async function isUsable({ job, attempt }: Lease, { token }: Capability): Promise<boolean> {
  return stage.storage.put({ job, attempt }, token, OUTPUT.name, OUTPUT).then(
    () => true,
    () => false,
  );
}

describe('an agent that is revoked', () => {
  it('I6 has no capability that works after 15 minutes, though the last was minted a moment before', async () => {
    const held = await lease();
    agent.say(outputs(held));
    const { capabilities } = await agent.hear('capabilities');
    const all = [...held.capabilities, ...capabilities].filter(({ verb }) => verb === 'put');
    expect(all.length).toBeGreaterThan(1);
    for (const capability of all) expect(await isUsable(held, capability)).toBe(true);
    // Storage that never hears of the discard: what remains is the capability's own life.
    stage.network.kill('service.storage');
    await stage.broker.revoke(agent.enrolled.agent, 'misbehaves');
    const revokedMs = stage.clock.monotonicMs();
    let usableMs = 0;
    while (stage.clock.monotonicMs() < revokedMs + 2 * LONGEST_MS) {
      await stage.clock.run(STEP_MS);
      for (const capability of all)
        if (await isUsable(held, capability)) usableMs = stage.clock.monotonicMs() - revokedMs;
    }
    expect(usableMs).toBeGreaterThan(0);
    expect(usableMs).toBeLessThanOrEqual(LONGEST_MS);
  });

  it('has none that works at all once storage heard that the attempt is void', async () => {
    const held = await lease();
    const capability = held.capabilities.find(({ verb }) => verb === 'put')!;
    expect(await isUsable(held, capability)).toBe(true);
    await stage.broker.revoke(agent.enrolled.agent, 'misbehaves');
    await stage.clock.run(5_000);
    expect(await isUsable(held, capability)).toBe(false);
  });

  it('loses its connections though it is in the middle of another handshake just then', async () => {
    const apply = stage.ledger.apply.bind(stage.ledger);
    const neverAnswered = new Promise<never>(() => undefined);
    Object.assign(stage.ledger, {
      apply: (commands: Parameters<typeof apply>[0]) =>
        commands.some(({ kind }) => kind === 'hello') ? neverAnswered : apply(commands),
    });
    const { enrolled } = agent;
    await stage.broker.revoke(enrolled.agent, 'misbehaves');
    await createRawAgent(stage, enrolled, STAGE, { address: 'peer-2' });
    await stage.clock.run(400);
    expect(stage.broker.presence(enrolled.agent).connected).toBe(true);
    expect(evicted).toEqual([]);
    await stage.clock.run(200);
    expect(evicted).toEqual([`${enrolled.agent} at peer-1`]);
  });

  it.each<[string, (held: Lease) => object]>([
    ['request', () => ({ kind: 'request', slot: 2, counter: ++counter, ad: {}, seen: [] })],
    ['outputs', outputs],
    [
      'renew',
      ({ job, attempt }) => ({
        kind: 'renew',
        slot: 0,
        counter: ++counter,
        leases: [{ job, attempt, progress: 0.5, usage: USAGE, logTail: '' }],
        seen: [],
      }),
    ],
  ])('hears nothing but farewell to its next %s, on the session it had', async (_kind, say) => {
    const held = await lease();
    await stage.broker.revoke(agent.enrolled.agent, 'misbehaves');
    agent.say(say(held));
    await stage.clock.run(30_000);
    expect(new Set(agent.heard.map(({ kind }) => kind))).toEqual(new Set(['farewell']));
    expect((await stage.ledger.agent(agent.enrolled.agent))?.held).toEqual([]);
  });

  it('loses its connection after its last word, and again where it comes back', async () => {
    const { enrolled } = agent;
    await stage.broker.revoke(enrolled.agent, 'misbehaves');
    expect(await agent.hear('farewell')).toMatchObject({ code: 'REVOKED' });
    expect(evicted).toEqual([]);
    await stage.clock.run(10_000);
    expect(evicted[0]).toBe(`${enrolled.agent} at peer-1`);
    evicted = [];
    const again = await createRawAgent(stage, enrolled, STAGE, { address: 'peer-2' });
    expect(await again.hear('farewell')).toMatchObject({ code: 'REVOKED' });
    await stage.clock.run(10_000);
    expect(evicted[0]).toBe(`${enrolled.agent} at peer-2`);
  });

  it('loses one that it has without a session', async () => {
    await agent.vanish();
    await stage.clock.run(1_000);
    await stage.broker.revoke(agent.enrolled.agent, 'misbehaves');
    await stage.clock.run(1_000);
    expect(evicted).toEqual([`${agent.enrolled.agent} at `]);
  });
});

describe('an agent whose identity ends on a live connection', () => {
  async function brief(address: string): Promise<RawAgent> {
    const iat = Math.floor(stage.clock.wallMs() / 1000);
    const made = await createRawAgent(stage, stage.enrol({ exp: iat + 100 }), STAGE, { address });
    await made.hear('welcome');
    return made;
  }

  it('is sent away and loses it, though it only listens', async () => {
    const silent = await brief('peer-3');
    await stage.clock.run(180_000);
    expect(silent.heard).toMatchObject([{ kind: 'farewell', code: 'IDENTITY_EXPIRED' }]);
    expect(evicted[0]).toBe(`${silent.enrolled.agent} at peer-3`);
    expect(evicted.filter((line) => line.startsWith(agent.enrolled.agent))).toEqual([]);
  });

  it('is not answered any more, whatever it asks', async () => {
    const talking = await brief('peer-4');
    await stage.clock.run(161_000);
    talking.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
    expect(await talking.hear('farewell')).toMatchObject({ code: 'IDENTITY_EXPIRED' });
    talking.say({ kind: 'request', slot: 1, counter: 2, ad: {}, seen: [] });
    await stage.clock.run(30_000);
    expect(talking.heard.filter(({ kind }) => kind !== 'farewell')).toEqual([]);
  });
});
