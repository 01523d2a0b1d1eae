/** One framework's adapter in a process of its own, asked as its broker would; no bus is in between. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { AnswerAsk } from '../../../adapters/adapter-program.ts';
import type { FrameworkProgram, FrameworkSettings } from '../../../adapters/jobs/kit/framework-kind.ts';
import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import { FRAMEWORK_KINDS } from '../../../cli/framework-kinds.ts';
import { storeKey } from '../../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { AskBody } from '../../../protocol/session/trusted-link.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { memoryOf } from '../memory.ts';
import { cpuMicroseconds, servePeer } from '../serve-peer.ts';
import { type ClientFiles, replay } from './minimal-client.ts';
import { type CallTarget, type RecordedCall, recordCalls } from './recorded-calls.ts';
import { storedFile } from './stored-bytes.ts';

/** How long a framework's jobs took, and what for. */
export interface FrameworkRun {
  readonly jobs: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
  readonly calls: readonly RecordedCall[];
  /** The most of them that were under way together. */
  readonly callsAtOnce: number;
}

/** An adapter with many jobs that run. */
export interface FrameworkHold {
  readonly jobs: number;
  /** Share of one processor. */
  readonly processor: number;
  readonly residentBytes: number;
  /** Calls to the framework each second. */
  readonly callsPerSecond: number;
  /** Seconds from one mention of a job to the next, by job the longest: of half of them, of 99 of 100, of all. */
  readonly silence: { readonly p50: number; readonly p99: number; readonly most: number };
}

export interface FrameworkQuestions {
  start(settings: { readonly framework: FrameworkSettings; readonly bridge: string }): Promise<void>;
  /** Fetches, runs nothing, brings 1 KB back: so many jobs, so many at once. */
  run(wanted: {
    readonly jobs: number;
    readonly atOnce: number;
    readonly record: boolean;
  }): Promise<FrameworkRun>;
  replay(wanted: {
    readonly urls: Readonly<Record<CallTarget, string>>;
    readonly files: ClientFiles;
    readonly calls: readonly RecordedCall[];
    readonly atOnce: number;
  }): Promise<number>;
  /** Lets so many jobs run, each renewed every 20 s, for so long. */
  hold(wanted: { readonly jobs: number; readonly seconds: number }): Promise<FrameworkHold>;
}

const QUEUE = 'bench';
const AGENT = 'a'.repeat(26);
const USAGE = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 };
const MAX_FETCH = 64;
/** Some frameworks give nothing before they were asked in rounds of their own. */
const PATIENCE_MS = 120_000;
const PAUSE_MS = 100;
const RENEW_MS = 20_000;

let program: FrameworkProgram | undefined;
let ask: AnswerAsk | undefined;
let urls: Readonly<Record<CallTarget, string>>;
let item = 0;
const directory = await mkdtemp(join(tmpdir(), 'co-pilot-bench-framework-'));
let starts = 0;

servePeer<FrameworkQuestions>({ start, run, replay: replayed, hold }, async () => {
  await program?.stop();
  await rm(directory, { recursive: true });
});

async function start({ framework, bridge }: Parameters<FrameworkQuestions['start']>[0]): Promise<void> {
  await program?.stop();
  const load = FRAMEWORK_KINDS[framework.kind];
  if (load === undefined) throw new Error(`there is no kind ${framework.kind}`);
  const crypto = createCrypto();
  urls = { framework: framework.url, bridge };
  // An adapter may keep there what it took of one server.
  const own = join(directory, String(++starts));
  await mkdir(own, { mode: 0o700 });
  program = await (await load()).startAdapter({
    directory: own,
    configuration: {
      ...{
        installation: 'bench',
        name: framework.kind,
        keyId: 1,
        brokers: [],
        busUrls: [],
        busSecret: 'none',
      },
      key: storeKey(crypto, crypto.generate('x25519')),
      framework: { ...framework, queues: { [QUEUE]: Object.values(framework.queues)[0] ?? '' } },
      bridge: { url: bridge, token: 'none' },
    },
    log: silentLog,
    around: (answer) => (ask = answer),
  });
}

async function say(body: AskBody) {
  if (ask === undefined) throw new Error('no adapter was started');
  const answer = await ask({ ...body, item: ++item });
  if (answer.result === 'refused') throw new Error(`${body.op}: ${answer.code} ${answer.message}`);
  return answer;
}

/** Jobs one fetch ahead of who takes them, as a broker holds them, named as accepted with the next fetch. */
async function* fetched(count: number): AsyncGenerator<NewJob> {
  let accepted: readonly string[] = [];
  let got = 0;
  const fetch = async (): Promise<readonly NewJob[]> => {
    const max = Math.min(MAX_FETCH, count - got);
    const answer = await say({ op: 'fetch', queue: QUEUE, max, accepted: [...accepted] });
    const jobs = answer.result === 'jobs' ? answer.jobs : [];
    accepted = jobs.map(({ job }) => job);
    got += jobs.length;
    return jobs;
  };
  let lastMs = performance.now();
  let ahead = fetch();
  while (performance.now() - lastMs < PATIENCE_MS) {
    const jobs = await ahead;
    if (jobs.length === 0) await delay(PAUSE_MS);
    else lastMs = performance.now();
    const isLast = got >= count;
    if (!isLast) ahead = fetch();
    yield* jobs;
    if (isLast) return;
  }
}

async function started({ job, state = '' }: NewJob): Promise<void> {
  await say({ op: 'started', job, attempt: 1, agent: AGENT, state });
}

async function finished({ job, state = '', description }: NewJob): Promise<void> {
  const manifest = description.outputs.map(({ name }) => storedFile(name));
  await say({ op: 'finished', job, attempt: 1, manifest, usage: USAGE, state });
}

async function run({
  jobs,
  atOnce,
  record,
}: Parameters<FrameworkQuestions['run']>[0]): Promise<FrameworkRun> {
  const recorder = record ? recordCalls(urls) : undefined;
  const source = fetched(jobs);
  let done = 0;
  const fromCpu = cpuMicroseconds();
  // From the first job on: how long a framework keeps its first one back is its own.
  let fromMs = Infinity;
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (let next = await source.next(); next.done !== true; next = await source.next()) {
        fromMs = Math.min(fromMs, performance.now());
        await started(next.value);
        await finished(next.value);
        done++;
      }
    }),
  );
  const seconds = (performance.now() - fromMs) / 1000;
  recorder?.stop();
  return {
    jobs: done,
    seconds,
    cpuMicroseconds: cpuMicroseconds() - fromCpu,
    calls: recorder?.calls ?? [],
    callsAtOnce: recorder?.most() ?? 0,
  };
}

function replayed(wanted: Parameters<FrameworkQuestions['replay']>[0]): Promise<number> {
  return replay(wanted.urls, wanted.files, wanted);
}

async function hold({ jobs, seconds }: Parameters<FrameworkQuestions['hold']>[0]): Promise<FrameworkHold> {
  const held: NewJob[] = [];
  for await (const job of fetched(jobs)) {
    await started(job);
    held.push(job);
  }
  const mentions = createMentions(held);
  const recorder = recordCalls(urls, (call) => mentions.note(call, performance.now()));
  const fromCpu = cpuMicroseconds();
  const fromMs = performance.now();
  for (let passedMs = 0; passedMs < seconds * 1000; passedMs += RENEW_MS) {
    for (const { job, state = '' } of held)
      await say({ op: 'renewed', job, attempt: 1, progress: 0.5, state });
    const nextMs = fromMs + Math.min(passedMs + RENEW_MS, seconds * 1000);
    await delay(Math.max(0, nextMs - performance.now()));
  }
  recorder.stop();
  const { now: residentBytes } = await memoryOf(process.pid);
  return {
    jobs: held.length,
    processor: (cpuMicroseconds() - fromCpu) / 1000 / (performance.now() - fromMs),
    residentBytes,
    callsPerSecond: recorder.calls.length / seconds,
    silence: mentions.silence(performance.now()),
  };
}

/** When each job was last spoken of, by the framework's name of it, wherever in a call that stands. */
function createMentions(jobs: readonly NewJob[]) {
  const last = new Map(jobs.map(({ ref }) => [ref, performance.now()]));
  const longest = new Map<string, number>();
  const spoken = (ref: string, ms: number): void => {
    const silence = ms - (last.get(ref) ?? ms);
    longest.set(ref, Math.max(longest.get(ref) ?? 0, silence));
    last.set(ref, ms);
  };
  return {
    note(call: RecordedCall, ms: number): void {
      const text = `${call.path} ${Buffer.from(call.body, 'base64').toString('latin1')}`;
      for (const [word] of text.matchAll(/[\w.:-]+/g)) if (last.has(word)) spoken(word, ms);
    },
    silence(ms: number) {
      for (const ref of last.keys()) spoken(ref, ms);
      const seconds = [...longest.values()]
        .map((value) => value / 1000)
        .toSorted((one, other) => one - other);
      const at = (share: number): number =>
        seconds[Math.min(seconds.length - 1, Math.floor(seconds.length * share))] ?? 0;
      return { p50: at(0.5), p99: at(0.99), most: at(1) };
    },
  };
}
