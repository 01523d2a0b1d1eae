import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLocalAdapter } from '../../../adapters/jobs/local/main.ts';
import { dropReader } from '../../../cli/campaign/drop-reader.ts';
import { controlSocket, readInstallation, roleDirectory } from '../../../cli/installation.ts';
import { expectShape } from '../../doubles/command-shape.ts';
import { runCommand, type Said } from '../../doubles/command-in-process.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import type { LiveAgent } from '../../doubles/live-agent.ts';
import { type LiveBroker, openLiveBroker } from '../../doubles/live-broker.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { page, prose } from '../../unit/docs/pages.ts';

const NOBODY = 'a'.repeat(26);
const WITHIN_MS = 20_000;

let broker: LiveBroker;
let local: { stop(): Promise<void> };
let agent: LiveAgent;
let campaign: string;
/** Of one campaign: one finished, one failed, one that runs; of another one that no agent may run. */
let finished = '';
let failed = '';
let running = '';
let waiting = '';

beforeAll(async () => {
  broker = await openLiveBroker({
    jobs: 'local queue',
    queue: { leaseMs: 60_000, firstRenewMs: 60_000, prefetch: 8 },
  });
  const { directory } = broker;
  const installation = await readInstallation(directory);
  if (installation === undefined) throw new Error('the broker has no installation');
  local = await startLocalAdapter({
    directory: roleDirectory(directory, 'local'),
    controlSocket: controlSocket(directory, 'local'),
    configuration: installation.configurations.local,
    reader: dropReader,
    log: silentLog,
  });
  ({ campaign } = await submit('shapes', 3));
  const idle = await submit('idle', 1, 'requirements: OpSys == "NONE"\n');
  waiting = idle.jobs[0] ?? '';
  agent = await broker.agent();
  await runThree();
});
afterAll(async () => {
  await local.stop();
  await broker.close();
});

async function submit(name: string, jobs: number, more = ''): Promise<{ campaign: string; jobs: string[] }> {
  const file = join(broker.directory, `${name}.yaml`);
  await writeFile(
    file,
    `name: ${name}\ncommand: /bin/true\narguments: ['\${n}']\noutputs: [events.dat]\nretries: 0
limits: { wall: 1m, memory: 64MiB, disk: 1MiB }\nparameters: { n: 1..${jobs} }\n${more}`,
  );
  return (await json('job', 'submit', file)) as { campaign: string; jobs: string[] };
}

async function runThree(): Promise<void> {
  const first = await agent.takeJob();
  const file = await agent.upload(first, 'events.dat', Buffer.from('events'));
  await agent.ask(agent.report(first, [file]));
  finished = first.job;
  const second = await agent.takeJob();
  const exit = { kind: 'exited' as const, code: 3 };
  const signature = agent.raw.sign({ ...second, exit, manifest: [] });
  await agent.ask(agent.report(second, [], { exit, signature, logTail: 'out of luck\n\u001b[2J' }));
  failed = second.job;
  const third = await agent.takeJob();
  running = third.job;
  await renew(third, 'step 1\n');
  await eventuallyTrue(
    'each job to be in its state',
    async () => {
      const { jobs } = (await json('job', 'list', '--campaign', campaign)) as {
        jobs: { job: string; state: string }[];
      };
      const states = new Map(jobs.map(({ job, state }) => [job, state]));
      return [finished, failed, running].map((job) => states.get(job)).join() === 'finished,failed,running';
    },
    WITHIN_MS,
  );
}

async function renew(
  lease: { readonly job: string; readonly attempt: number },
  logTail: string,
): Promise<void> {
  const { job, attempt } = lease;
  const usage = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 };
  await agent.ask({ kind: 'renew', leases: [{ job, attempt, progress: 0.5, usage, logTail }], seen: [] });
}

function run(...args: readonly string[]): Promise<Said> {
  return runCommand([...args, '--data', broker.directory]);
}

async function json(...args: readonly string[]): Promise<unknown> {
  const { code, out, err } = await run(...args, '--json');
  if (code !== 0) throw new Error(`${args.join(' ')}: ${out}${err}`);
  return JSON.parse(out);
}

/** Every command with every shape that docs/commands.md names for it; those that change something come last. */
const DOCUMENTS: readonly (readonly [string, string, () => readonly string[]])[] = [
  ['job list', 'jobList', () => []],
  ['job show', 'job', () => [finished]],
  ['job show', 'job', () => [failed]],
  ['job show', 'job', () => [running]],
  ['job logs', 'jobLogs', () => [failed]],
  ['job logs', 'jobLogs', () => [waiting]],
  ['job fetch', 'fetched', () => [finished, '--to', join(broker.directory, 'one')]],
  ['campaign fetch', 'fetched', () => [campaign, '--to', join(broker.directory, 'all')]],
  ['campaign list', 'campaignList', () => []],
  ['campaign show', 'campaign', () => [campaign]],
  ['queue list', 'queueList', () => []],
  ['queue show', 'queue', () => ['main']],
  ['accounting', 'accounting', () => []],
  ['accounting', 'accounting', () => ['--since', '2026-01-01']],
  ['agent list', 'agentList', () => []],
  ['agent show', 'agent', () => [agent.id]],
  ['agent code', 'code', () => []],
  ['agent pin', 'pin', () => []],
  ['job submit', 'submitted', () => [join(broker.directory, 'shapes.yaml')]],
  ['campaign submit', 'submitted', () => [join(broker.directory, 'shapes.yaml')]],
  ['campaign pause', 'campaign', () => [campaign]],
  ['campaign resume', 'campaign', () => [campaign]],
  ['job cancel', 'campaignCancelled', () => ['--campaign', campaign, '--state', 'pending', '--dry-run']],
  ['campaign cancel', 'campaignCancelled', () => [campaign, '--dry-run']],
  ['job cancel', 'jobsCancelled', () => [waiting, '--dry-run']],
  ['job retry', 'jobsRetried', () => [failed]],
  ['agent drain', 'agent', () => [agent.id]],
  ['agent drain', 'agent', () => [agent.id, '--undo']],
  ['agent revoke', 'agentWouldEnd', () => [agent.id, '--dry-run']],
];

const LINES: readonly (readonly [string, string, () => readonly string[]])[] = [
  ['job list', 'jobSummary', () => []],
  ['job logs', 'attemptLog', () => [failed]],
  ['job logs', 'logPiece', () => [failed, '--follow']],
  ['campaign list', 'campaign', () => []],
  ['campaign show', 'campaign', () => [campaign]],
  ['queue list', 'queue', () => []],
  ['agent list', 'agentSummary', () => []],
];

describe('--jsonl', () => {
  it.each(LINES)('%s prints lines that are %s', async (command, shape, args) => {
    const { code, out } = await run(...command.split(' '), ...args(), '--jsonl');
    const lines = out.trimEnd().split('\n');
    expect(code).toBe(0);
    expect(lines.length).toBeGreaterThan(0);
    for (const line of lines) expectShape(shape, JSON.parse(line));
  });
});

describe('for people', () => {
  it.each([
    ['job list', () => [], /^JOB +LABEL +CAMPAIGN +STATE/],
    [
      'job logs',
      () => [failed],
      /^--- attempt 1 on agent [a-z2-7]{26}: void, .*code 3\nout of luck\n\?\[2J\n$/,
    ],
    ['job logs', () => [waiting], /^no attempt has begun; the job is (pending|handed|accepted)\n$/],
    ['campaign show', () => [campaign], /^campaign {2}shapes-.*\nstate {5}under way\njobs {6}3\n/],
    ['queue show', () => ['main'], /lease {5}60 s, first renewal within 60 s; lost \d+ times it fails\n$/],
    ['queue show', () => ['main'], /oldest {4}(none waits|\d+ s)\n/],
    ['agent list', () => [], /^AGENT .*\n[a-z2-7]{26} +somebody +home +untrusted +active +yes +1 /],
    ['agent show', () => [agent.id], /holds {6}job [a-z2-7]{26} attempt 1, live\n/],
  ] as const)('%s is %s', async (command, args, expected) => {
    const { code, out } = await run(...command.split(' '), ...args());
    expect(code).toBe(0);
    expect(out).toMatch(expected);
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });
});

describe('what goes on', () => {
  it('job logs --follow tells what renewals bring, and ends with the job', async () => {
    const { jobs } = await submit('followed', 1);
    const lease = await leaseOf(jobs[0] ?? '');
    await renew(lease, 'step 1\n');
    const following = run('job', 'logs', lease.job, '--follow');
    await renew(lease, 'step 1\nstep 2\n');
    const file = await agent.upload(lease, 'events.dat', Buffer.from('events'));
    await agent.ask({ ...agent.report(lease, [file]), slot: 2 });
    const { code, out } = await following;
    expect(code).toBe(0);
    expect(out).toMatch(/^--- attempt 1 on agent [a-z2-7]+: /);
    expect(out.split('step 1').length).toBe(2);
  });

  it('campaign show --watch ends with the campaign, a line for each change', async () => {
    const { campaign: name, jobs } = await submit('watched', 1);
    const watching = run('campaign', 'show', name, '--watch', '--jsonl');
    const lease = await leaseOf(jobs[0] ?? '');
    const file = await agent.upload(lease, 'events.dat', Buffer.from('events'));
    await agent.ask({ ...agent.report(lease, [file]), slot: 2 });
    const { code, out } = await watching;
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { states: { finished: number } });
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatchObject({ states: { finished: 1 } });
    expect(new Set(lines.map((line) => JSON.stringify(line))).size).toBe(lines.length);
    for (const line of lines) expectShape('campaign', line);
  });

  /** In slot 2: what slot 1 holds runs on. */
  async function leaseOf(job: string) {
    const lease = await agent.takeJob(2);
    expect(lease.job).toBe(job);
    return lease;
  }
});

describe('fetching again', () => {
  it('keeps what is there, mends what is wrong, and goes on where it was cut short', async () => {
    const to = join(broker.directory, 'again');
    const place = join(to, finished, 'events.dat');
    expect(await json('job', 'fetch', finished, '--to', to)).toEqual({ files: [place], bytes: 6, kept: 0 });
    expect(await json('job', 'fetch', finished, '--to', to)).toEqual({ files: [place], bytes: 6, kept: 1 });
    await writeFile(place, 'wrong!');
    expect(await json('job', 'fetch', finished, '--to', to)).toMatchObject({ kept: 0 });
    expect(await readFile(place, 'utf8')).toBe('events');
    const half = join(broker.directory, 'half', finished);
    await mkdir(half, { recursive: true });
    await writeFile(join(half, 'events.dat.part'), 'eve');
    expect(await json('job', 'fetch', finished, '--to', join(half, '..'))).toMatchObject({ bytes: 6 });
    expect(await readFile(join(half, 'events.dat'), 'utf8')).toBe('events');
    await writeFile(join(half, 'events.dat.part'), 'xxx');
    await writeFile(join(half, 'events.dat'), '');
    const spoilt = await run('job', 'fetch', finished, '--to', join(half, '..'), '--json');
    expect([spoilt.code, spoilt.out]).toEqual([74, expect.stringContaining('DIGEST_MISMATCH')]);
    expect(await json('job', 'fetch', finished, '--to', join(half, '..'))).toMatchObject({ kept: 0 });
  });
});

describe('--json', () => {
  it.each(DOCUMENTS)('%s prints one document that is %s', async (command, shape, args) => {
    const { code, out } = await run(...command.split(' '), ...args(), '--json');
    expect(code, out).toBe(0);
    expectShape(shape, JSON.parse(out));
  });
});

/** What ends a command otherwise than well, and the exit code of it. */
const REFUSALS: readonly (readonly [number, string, () => readonly string[]])[] = [
  [64, 'a verb that is none', () => ['job', 'lst']],
  [64, 'an option that is none', () => ['job', 'list', '--campain', 'x']],
  [64, 'an argument too few', () => ['campaign', 'pause']],
  [64, 'an argument too many', () => ['queue', 'show', 'a', 'b']],
  [65, 'a state that is none', () => ['job', 'list', '--state', 'asleep']],
  [65, 'a name that cannot be one', () => ['job', 'list', '--campaign', 'No Such']],
  [65, 'an attempt that is no number', () => ['job', 'logs', finished, '--attempt', '0']],
  [65, 'nothing to cancel', () => ['job', 'cancel']],
  [65, 'a state without a campaign', () => ['job', 'cancel', '--state', 'pending']],
  [65, 'nothing to fetch', () => ['job', 'fetch']],
  [65, 'a document that never ends', () => ['job', 'list', '--watch']],
  [65, 'an agent to revoke and nobody to ask', () => ['agent', 'revoke', agent.id]],
  [73, 'a job that cannot run again', () => ['job', 'retry', finished]],
  [66, 'a job that is not there', () => ['job', 'show', NOBODY]],
  [66, 'logs of a job that is not there', () => ['job', 'logs', NOBODY]],
  [66, 'an attempt that never was', () => ['job', 'logs', finished, '--attempt', '9']],
  [66, 'a result that is not there yet', () => ['job', 'fetch', waiting]],
  [66, 'a job to run again that is not there', () => ['job', 'retry', NOBODY]],
  [66, 'a campaign that is not there', () => ['campaign', 'show', 'nowhere']],
  [66, 'a campaign to pause that is not there', () => ['campaign', 'pause', 'nowhere']],
  [66, 'a campaign to cancel that is not there', () => ['campaign', 'cancel', 'nowhere']],
  [66, 'a campaign to fetch that is not there', () => ['campaign', 'fetch', 'nowhere']],
  [66, 'a queue that is not there', () => ['queue', 'show', 'nowhere']],
  [66, 'an agent that is not there', () => ['agent', 'show', NOBODY]],
  [66, 'an agent to drain that is not there', () => ['agent', 'drain', NOBODY, '--undo']],
  [66, 'an agent to revoke that is not there', () => ['agent', 'revoke', NOBODY, '--yes']],
];

describe('a command that fails', () => {
  it.each(REFUSALS)('exits with %i for %s', async (exit, _what, args) => {
    const { code, out } = await run(...args(), '--json');
    expect(code, out).toBe(exit);
    if (exit !== 64) expectShape('error', JSON.parse(out));
  });

  it.each([
    ['a job', () => ['job', 'show', NOBODY], '`co-pilot job list`'],
    ['a campaign', () => ['campaign', 'show', 'nowhere'], '`co-pilot campaign list`'],
    ['a queue', () => ['queue', 'show', 'nowhere'], '`co-pilot queue list`'],
    ['an agent', () => ['agent', 'show', NOBODY], '`co-pilot agent list`'],
    ['an installation', () => ['job', 'list', '--data', '/nowhere'], '`co-pilot up`'],
  ] as const)('for want of %s says the next step, on standard error alone', async (_what, args, step) => {
    const words = args();
    const { out, err } = await (words.includes('--data') ? runCommand(words) : run(...words));
    expect(out).toBe('');
    expect(err).toContain(step);
  });

  it('for want of an installation exits with 69', async () => {
    for (const words of ['job list', 'campaign list', 'queue list', 'agent list'])
      expect((await runCommand([...words.split(' '), '--data', '/nowhere'])).code).toBe(69);
  });

  it('says the same with --quiet, which silences the rest', async () => {
    const { err } = await run('job', 'show', NOBODY, '--quiet');
    expect(err).toContain('NOT_FOUND');
    const file = join(broker.directory, 'shapes.yaml');
    const { err: nothing } = await run('job', 'submit', file, '--quiet');
    expect(nothing).toBe('');
  });
});

describe('what takes something away', () => {
  it('cancels, revokes and says so in its shape', async () => {
    expectShape('jobsCancelled', await json('job', 'cancel', waiting));
    expectShape('campaignCancelled', await json('campaign', 'cancel', campaign));
    expectShape('agentRevoked', await json('agent', 'revoke', agent.id, '--yes'));
  });
});

describe('docs/commands.md', () => {
  const rows = [...prose(page('docs/commands.md')).matchAll(/^\| `(\w+(?: \w+)?)` \| (.*) \| (.*) ?\|$/gm)];
  const named = (cell: string): readonly string[] =>
    [...cell.matchAll(/`([a-z]\w+)`/g)].map(([, name]) => name ?? '');

  it('names for each command the shapes that are tested here, and no others', () => {
    const told = rows.flatMap(([, command, documents = '']) =>
      named(documents).map((name) => `${command} ${name}`),
    );
    const tested = new Set([
      ...DOCUMENTS.map(([command, shape]) => `${command} ${shape}`),
      'agent revoke agentRevoked',
    ]);
    expect(told.toSorted()).toEqual([...tested].toSorted());
  });

  it('names for each command the lines that are tested here, and no others', () => {
    const told = rows.flatMap(([, command, , lines = '']) =>
      named(lines).map((name) => `${command} ${name}`),
    );
    expect(told.toSorted()).toEqual(
      [...new Set(LINES.map(([command, shape]) => `${command} ${shape}`))].toSorted(),
    );
  });
});
