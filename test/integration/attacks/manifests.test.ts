import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { File, Lease } from '../../../protocol/generated/types.ts';
import type { LiveAgent } from '../../doubles/live-agent.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';

let broker: LiveBroker;

beforeAll(async () => {
  broker = await openLiveBroker();
});

afterEach(() => broker.clear());
afterAll(() => broker.close());

const EVENTS = new TextEncoder().encode('the events');
const TIB = 1024 ** 4;
const NO_SHA = '0'.repeat(64);

/** Lies that pass the schema: what each reports of an upload that was right, and what the verdict says. */
const LIES: readonly (readonly [what: string, lie: (file: File) => readonly File[], reason: RegExp])[] = [
  ['nothing', () => [], /events\.dat is not in the manifest/],
  ['another file instead', (file) => [{ ...file, name: 'other.dat' }], /events\.dat is not in the manifest/],
  ['one file more', (file) => [file, { ...file, name: 'extra.dat' }], /extra\.dat/],
  ['a name in capitals', (file) => [{ ...file, name: 'EVENTS.DAT' }], /events\.dat is not in the manifest/],
  ['a byte more', (file) => [{ ...file, size: file.size + 1 }], /events\.dat/],
  ['a TiB', (file) => [{ ...file, size: TIB }], /events\.dat/],
  ['no bytes', (file) => [{ ...file, size: 0 }], /events\.dat/],
  ['another digest', (file) => [{ ...file, sha256: NO_SHA }], /events\.dat/],
  ['the file twice, once wrong', (file) => [file, { ...file, sha256: NO_SHA }], /names a file twice/],
  ['a file below the file', (file) => [file, { ...file, name: 'events.dat/x' }], /events\.dat/],
];

/** The job goes to an honest agent afterwards, and its result is the honest one's. */
async function finishesHonestly(job: string): Promise<void> {
  const honest = await broker.agent();
  expect(await honest.work()).toMatchObject({ job, attempt: 2, verdict: 'committed' });
  const { manifest, progress } = await broker.end(job);
  expect(progress.state).toBe('finished');
  expect(manifest).toHaveLength(1);
  expect(manifest[0]?.name).toBe('events.dat');
}

async function liar(): Promise<{ readonly agent: LiveAgent; readonly job: string; readonly lease: Lease }> {
  const job = broker.submit();
  const agent = await broker.agent();
  return { agent, job, lease: await agent.takeJob() };
}

describe('a manifest that names', () => {
  it.each(LIES)('%s is refused by verdict, and the job runs again (I3, I4)', async (_what, lie, reason) => {
    const { agent, job, lease } = await liar();
    const file = await agent.upload(lease, 'events.dat', EVENTS);
    const answer = await agent.ask(agent.report(lease, lie(file)));
    expect(answer).toMatchObject({
      kind: 'reported',
      verdict: 'refused',
      reason: expect.stringMatching(reason),
    });
    await agent.vanish();
    await finishesHonestly(job);
  });

  it('what was never uploaded is refused by verdict', async () => {
    const { agent, job, lease } = await liar();
    const file = { name: 'events.dat', size: 3, sha256: NO_SHA };
    expect(await agent.ask(agent.report(lease, [file]))).toMatchObject({ verdict: 'refused' });
    await finishesHonestly(job);
  });

  it.each([
    '../events.dat',
    '/etc/passwd',
    'a/../../b',
    'a//b',
    './events.dat',
    '.ssh/authorized_keys',
    'a/.b',
    'a\\b',
    'a b',
    '$(reboot)',
    'a\n',
    'a\u0000',
    'é.dat',
    'x'.repeat(129),
    '',
  ])('%j is no message at all, and the attempt lives on (I7)', async (name) => {
    const { agent, job, lease } = await liar();
    const file = await agent.upload(lease, 'events.dat', EVENTS);
    agent.raw.say({ ...agent.report(lease, [{ ...file, name }]), slot: 1, counter: agent.count() });
    expect(await agent.raw.hear('error')).toMatchObject({ code: 'MALFORMED_MESSAGE' });
    expect(await agent.ask(agent.report(lease, [file]))).toMatchObject({ verdict: 'committed' });
    expect((await broker.end(job)).manifest).toEqual([file]);
  });

  it('65 files is no message either (I9)', async () => {
    const { agent, job, lease } = await liar();
    const file = await agent.upload(lease, 'events.dat', EVENTS);
    const many = Array.from({ length: 65 }, (_, at) => ({ ...file, name: `f${at}` }));
    agent.raw.say({ ...agent.report(lease, many), slot: 1, counter: agent.count() });
    expect(await agent.raw.hear('error')).toMatchObject({ code: 'MALFORMED_MESSAGE' });
    expect(await agent.ask(agent.report(lease, [file]))).toMatchObject({ verdict: 'committed' });
    expect((await broker.end(job)).progress.state).toBe('finished');
  });

  it("an earlier attempt's files is refused: each attempt has a place of its own", async () => {
    const { agent, job, lease } = await liar();
    const file = await agent.upload(lease, 'events.dat', EVENTS);
    expect(await agent.ask({ kind: 'release', job, attempt: 1, reason: 'drain' })).toMatchObject({
      kind: 'released',
    });
    const again = await agent.takeJob();
    expect(again).toMatchObject({ job, attempt: 2 });
    expect(await agent.ask(agent.report(again, [file]))).toMatchObject({ verdict: 'refused' });
    const honest = await broker.agent();
    expect(await honest.work()).toMatchObject({ job, attempt: 3, verdict: 'committed' });
  });
});

describe('an upload', () => {
  it('larger than declared is refused before it lands, and the attempt lives on (I9)', async () => {
    const job = broker.submit({ outputs: [{ name: 'events.dat', maxBytes: 16 }] });
    const agent = await broker.agent();
    const lease = await agent.takeJob();
    await expect(agent.upload(lease, 'events.dat', new Uint8Array(17))).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
    });
    const file = await agent.upload(lease, 'events.dat', EVENTS);
    expect(await agent.ask(agent.report(lease, [file]))).toMatchObject({ verdict: 'committed' });
    expect((await broker.end(job)).manifest).toEqual([file]);
  });
});
