import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { PublicKey } from '../../../protocol/runtime/runtime.ts';
import { signIdentity } from '../../../protocol/tokens.ts';
import { type BrokerStage, createBrokerStage, type Enrolled, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent } from '../../doubles/raw-agent.ts';

const crypto = createCrypto();
const next = crypto.generate('p256');

let stage: BrokerStage;
let accepted: readonly PublicKey[];
let former: readonly PublicKey[];
let evicted: string[];

beforeEach(async () => {
  evicted = [];
  stage = await createBrokerStage({
    seed: 5,
    keys: { identities: () => accepted, formerIdentities: () => former },
    evict: async (agent) => void evicted.push(agent),
  });
  accepted = [next.publicKey, stage.identityKey.publicKey];
  former = [];
});
afterEach(() => stage.stop());

/** In an emergency the old key goes. */
function drop(): void {
  accepted = [next.publicKey];
  former = [stage.identityKey.publicKey];
}

const byNext = (enrolled: Enrolled): Enrolled => ({
  ...enrolled,
  identity: signIdentity(crypto, next, enrolled.claims),
});
const REQUEST = { kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] };

describe('identities while a key is rolled', () => {
  it('of the old key and of the new one open sessions', async () => {
    for (const enrolled of [stage.enrol(), byNext(stage.enrol())]) {
      const agent = await createRawAgent(stage, enrolled, STAGE);
      await agent.hear('welcome');
    }
    expect(stage.broker.status().connectedAgents).toBe(2);
  });

  it('of a key that an emergency took away are refused at once on a live connection, and nothing changes', async () => {
    stage.submit();
    const thief = await createRawAgent(stage, stage.enrol(), STAGE);
    const honest = await createRawAgent(stage, byNext(stage.enrol()), STAGE);
    await thief.hear('welcome');
    await honest.hear('welcome');
    drop();
    thief.say(REQUEST);
    expect(await thief.hear('farewell', 1_000)).toMatchObject({ code: 'IDENTITY_EXPIRED' });
    expect((await stage.ledger.agent(thief.enrolled.agent))?.held).toEqual([]);
    honest.say(REQUEST);
    expect(await honest.hear('job')).toBeDefined();
    await stage.clock.run(10_000);
    expect(evicted).toContain(thief.enrolled.agent);
    expect(evicted).not.toContain(honest.enrolled.agent);
  });

  it('of such a key are sent away though they only listen', async () => {
    const silent = await createRawAgent(stage, stage.enrol(), STAGE);
    await silent.hear('welcome');
    drop();
    await stage.clock.run(15_000);
    expect(silent.heard).toMatchObject([{ kind: 'farewell', code: 'IDENTITY_EXPIRED' }]);
  });

  it('of such a key hear at a new handshake that they are to be renewed, and are then served', async () => {
    drop();
    const enrolled = stage.enrol();
    const old = await createRawAgent(stage, enrolled, STAGE);
    expect(await old.hear('farewell')).toMatchObject({ code: 'IDENTITY_EXPIRED' });
    expect(await stage.ledger.agent(enrolled.agent)).toBeUndefined();
    const renewed = await createRawAgent(stage, byNext(enrolled), STAGE);
    await renewed.hear('welcome');
  });

  it('of a key that nobody knows get no answer', async () => {
    const enrolled = stage.enrol();
    const forged = signIdentity(crypto, crypto.generate('p256'), enrolled.claims);
    const stranger = await createRawAgent(stage, { ...enrolled, identity: forged }, STAGE);
    await stage.clock.run(20_000);
    expect(stranger.heard).toEqual([]);
  });
});
