import { describe, expect, it } from 'vitest';
import { createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent } from '../../doubles/raw-agent.ts';

const USAGE = { wallSeconds: 0, cpuSeconds: 0, memoryMiB: 0, diskMiB: 0 };

async function createScene() {
  const stage = await createBrokerStage({ seed: 1 });
  const enrolled = stage.enrol();
  const agent = await createRawAgent(stage, enrolled, STAGE);
  await agent.hear('welcome');
  const report = (job: string, counter: number, code: number) => {
    const body = { job, attempt: 1, exit: { kind: 'exited', code } as const, manifest: [] };
    const signature = agent.sign(body);
    return {
      kind: 'report',
      slot: 1,
      counter,
      ...body,
      usage: USAGE,
      logTail: '',
      signature,
      next: {},
      seen: [],
    } as const;
  };
  const held = async () => (await stage.ledger.agent(enrolled.agent))?.held ?? [];
  return { stage, enrolled, agent, report, held };
}

describe('a report that comes with the wish for the next job', () => {
  // proves: V-15
  it('leases nothing where the report is refused', async () => {
    const { stage, agent, report, held } = await createScene();
    const job = stage.submit();
    await stage.clock.run(2000);
    agent.say(report('a'.repeat(26), 1, 0));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE', counter: 1 });
    expect((await stage.ledger.job(job))?.job.state).toBe('queued');
    expect(await held()).toEqual([]);
    await stage.stop();
  });

  // proves: V-17
  it('tells of the job its repeat finds, where the first answer had none', async () => {
    const { stage, agent, report, held } = await createScene();
    stage.submit({ retries: 0 });
    agent.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
    const { lease } = await agent.hear('job');
    const said = report(lease.job, 2, 1);
    agent.say(said);
    expect((await agent.hear('reported')).next).toMatchObject({ reason: 'no-work' });
    const next = stage.submit();
    await stage.clock.run(5000);
    agent.say(said);
    expect((await agent.hear('reported')).next).toMatchObject({ job: next, attempt: 1 });
    expect(await held()).toEqual([{ job: next, attempt: 1, live: true }]);
    await stage.stop();
  });
});

describe('an older start of an agent', () => {
  // proves: W-3
  it('is told SUPERSEDED when it speaks, and its successor is not', async () => {
    const { stage, enrolled, agent: older } = await createScene();
    const newer = await createRawAgent(stage, enrolled, STAGE);
    await newer.hear('welcome');
    older.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
    expect(await older.hear('farewell')).toMatchObject({ code: 'SUPERSEDED' });
    stage.submit();
    newer.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
    expect(await newer.hear('job')).toMatchObject({ slot: 1, counter: 1 });
    await stage.stop();
  });

  // proves: W-3
  it('leaves no parked request in the way of its successor', async () => {
    const { stage, enrolled, agent: older } = await createScene();
    older.say({ kind: 'request', slot: 1, counter: 10, ad: {}, seen: [] });
    await stage.clock.run(1000);
    const newer = await createRawAgent(stage, enrolled, STAGE);
    await newer.hear('welcome');
    newer.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
    await stage.clock.run(1000);
    stage.submit();
    expect(await newer.hear('job')).toMatchObject({ slot: 1, counter: 1 });
    await stage.stop();
  });
});

describe('a key that two programs use', () => {
  // proves: W-6
  it('is served to neither once it is quarantined, and both are told', async () => {
    const { stage, enrolled, agent } = await createScene();
    const starts = [agent.start, 'b'.repeat(26)];
    let previous = agent;
    for (let turn = 1; turn < 12; turn += 1) {
      const newer = await createRawAgent(stage, enrolled, STAGE, { start: starts[turn % 2] ?? '' });
      await stage.clock.run(200);
      if (newer.heard.some(({ kind }) => kind === 'farewell')) {
        expect(await newer.hear('farewell')).toMatchObject({ code: 'QUARANTINED' });
        expect(await previous.hear('farewell')).toMatchObject({ code: 'QUARANTINED' });
        await stage.stop();
        return;
      }
      await newer.hear('welcome');
      previous = newer;
    }
    expect.fail('nobody was quarantined');
  });
});
