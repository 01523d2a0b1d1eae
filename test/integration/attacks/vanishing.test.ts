import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { eventually } from '../../doubles/eventually.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

/** Short for those who vanish, and long enough that who stays has done its work within it on a busy machine. */
const LEASE_MS = 3_000;

let broker: LiveBroker;

beforeAll(async () => {
  broker = await openLiveBroker({ queue: { leaseMs: LEASE_MS, firstRenewMs: LEASE_MS } });
});

afterEach(() => broker.clear());
afterAll(() => broker.close());

async function queuedAgain(job: string, losses: number): Promise<void> {
  await eventually(
    'the job to wait again',
    async () => {
      const { state, losses: counted } = (await broker.job(job)).job;
      return state === 'queued' && counted === losses ? true : undefined;
    },
    10_000,
  );
}

it('an agent that takes jobs and vanishes cools down, and the job is not lost (I4)', async () => {
  const job = broker.submit();
  const enrolled = broker.identity();
  let answer = '';
  let losses = 0;
  while (answer !== 'none' && losses < 10) {
    // A new start each time, as a machine that is switched off and on again.
    const mallory = await broker.agent(enrolled);
    const said = await mallory.ask({ kind: 'request', ad: {}, seen: [] });
    answer = said.kind;
    if (said.kind === 'none') expect(said.none).toMatchObject({ reason: 'cooling-down' });
    await mallory.vanish();
    if (said.kind === 'job') await queuedAgain(job, (losses += 1));
  }
  expect(answer).toBe('none');
  expect(losses).toBe(4);
  const honest = await broker.agent();
  expect(await honest.work()).toMatchObject({ job, attempt: losses + 1, verdict: 'committed' });
  expect((await broker.end(job)).progress.state).toBe('finished');
});

it('an agent that takes jobs and fails them at once cools down, and its neighbour does the work', async () => {
  const enrolled = broker.identity();
  const mallory = await broker.agent(enrolled);
  const jobs = Array.from({ length: 6 }, () => broker.submit({}, { retries: 10 }));
  let failures = 0;
  for (;;) {
    const said = await mallory.ask({ kind: 'request', ad: {}, seen: [] });
    if (said.kind !== 'job') {
      expect(said).toMatchObject({ kind: 'none', none: { reason: 'cooling-down' } });
      break;
    }
    failures += 1;
    const exit = { kind: 'exited' as const, code: 1 };
    const signature = mallory.raw.sign({ ...said.lease, exit, manifest: [] });
    const report = mallory.report(said.lease, [], { exit, signature });
    expect(await mallory.ask(report)).toMatchObject({ kind: 'reported', verdict: 'refused' });
  }
  expect(failures).toBe(4);
  expect((await broker.row(enrolled.agent)).coolDownSeconds).toBeGreaterThan(0);
  const honest = await broker.agent();
  for (let done = 0; done < jobs.length; done += 1)
    expect(await honest.work()).toMatchObject({ verdict: 'committed' });
  for (const job of jobs) expect((await broker.end(job)).progress.state).toBe('finished');
});

it('a crowd that connects, asks and is gone leaves nothing behind, and jobs go to who stays', async () => {
  for (let round = 0; round < 5; round += 1) {
    const crowd = await Promise.all(Array.from({ length: 10 }, () => broker.agent()));
    for (const agent of crowd) agent.raw.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
    await Promise.all(crowd.map((agent) => agent.vanish()));
  }
  const honest = await broker.agent();
  const job = broker.submit();
  expect(await honest.work()).toMatchObject({ job, attempt: 1, verdict: 'committed' });
  expect((await broker.end(job)).progress.state).toBe('finished');
});
