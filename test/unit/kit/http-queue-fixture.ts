import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { openRefusedJobs, readRefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import type {
  CreateFrameworkAdapter,
  FrameworkAdapter,
  FrameworkParts,
} from '../../../adapters/jobs/kit/framework-adapter.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { FaultPlace, FrameworkFixture, FrameworkOpening } from '../../conformance/framework/fixture.ts';
import { countedHttp, untilQuiet } from '../../doubles/counted-http.ts';
import { createCountingClock } from '../../doubles/counting-clock.ts';
import { HOLD_MS, type SubmittedJob } from '../../doubles/http-queue/queue.ts';
import { startHttpQueue } from '../../doubles/http-queue/server.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { GOOD_JOB, HOSTILE_JOBS } from './http-queue-jobs.ts';

const QUEUE = 'main';
const THEIRS = 'night jobs';
const FIRST_TOKEN = 'canary-token-of-the-first-day';
const SECOND_TOKEN = 'canary-token-of-the-second-day';
const PATHS: Readonly<Record<FaultPlace, string>> = {
  take: '/v1/take',
  news: '/v1/beat',
  end: '/v1/end',
  all: '/v1/',
};
const STEP_MS = 1_000;
const STEPS = 20;
/** Far below the deadline of a call, which would end before its answer could come. */
const MOST_STEP_MS = 15_000;

/** An adapter of the plain HTTP queue over its double: real sockets and files, a clock that the test turns. */
export async function openHttpQueueFixture(
  create: CreateFrameworkAdapter,
  { jobs, attempts = 1 }: FrameworkOpening = {},
): Promise<FrameworkFixture> {
  const directory = await temporaryDirectory('http-queue');
  const clock = createManualClock();
  let wallJumpMs = 0;
  const ownClock = { ...clock, wallMs: () => clock.wallMs() + wallJumpMs };
  const lines: string[] = [];
  const note = (fields: object, message: string): void =>
    void lines.push(inspect([fields, message], { depth: 9 }));
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, FIRST_TOKEN, { mode: 0o600 });
  const server = await startHttpQueue({ clock, token: FIRST_TOKEN });
  const credential = await openCredentialFiles({ tokenFile }, { clock: ownClock, log });
  const ceilingFile = join(directory, 'ceiling.json');
  await writeFile(ceilingFile, JSON.stringify({ wallSeconds: 3600, ...(jobs !== undefined && { jobs }) }));
  const ceiling = await openCeiling(ceilingFile, { clock: ownClock, log });
  const refusedFile = join(directory, 'refused.jsonl');
  const refused = await openRefusedJobs(refusedFile, { clock: ownClock, log });
  const bounds = { timeoutMs: 60_000, maxAnswerBytes: 16 * 1024 * 1024 };
  const http = countedHttp(
    await createFrameworkHttp({ url: server.url, credential, ...bounds, clock: ownClock }),
  );
  const settings = {
    kind: 'http-queue',
    url: server.url,
    queues: { [QUEUE]: THEIRS },
    credential: { tokenFile },
    attempts,
    ceilingFile,
    options: {},
  };
  let timers = createCountingClock(ownClock);
  let adapter: FrameworkAdapter = await start();

  function start(): Promise<FrameworkAdapter> {
    timers = createCountingClock(ownClock);
    const parts: FrameworkParts = {
      clock: timers,
      random: nodeRandom,
      log,
      name: 'queue',
      settings,
      http,
      openHttp: async () => http,
      credential,
      ceiling,
      refused,
      bridge: undefined,
    };
    return create(parts);
  }

  const quiet = (): Promise<void> => untilQuiet(() => http.open <= server.stuck);
  const advance = async (ms: number): Promise<void> => {
    const step = Math.min(MOST_STEP_MS, Math.max(STEP_MS, Math.ceil(ms / STEPS)));
    await quiet();
    for (let left = ms; left > 0; left -= step) {
      clock.advance(Math.min(step, left));
      await quiet();
    }
  };
  const submitted = (job: SubmittedJob): string => server.queue.submit(THEIRS, [job])[0] ?? '';

  return {
    get adapter() {
      return adapter;
    },
    queue: QUEUE,
    canaries: [FIRST_TOKEN, SECOND_TOKEN],
    patienceMs: HOLD_MS,
    hostile: Object.keys(HOSTILE_JOBS),
    submit: async (count) =>
      server.queue.submit(
        THEIRS,
        Array.from({ length: count }, () => GOOD_JOB),
      ),
    submitHostile: async (which) => submitted(HOSTILE_JOBS[which] ?? {}),
    submitHuge: async () => submitted({ ...GOOD_JOB, wallSeconds: 7200 }),
    state: async (ref) => server.queue.job(ref)?.state ?? 'waiting',
    reason: async (ref) => server.queue.job(ref)?.reason ?? '',
    async refused() {
      await refused.settled();
      return readRefusedJobs(refusedFile);
    },
    taken: async () =>
      server.queue.jobs().filter(({ state }) => state === 'taken' || state === 'running').length,
    kill: async (ref) => server.queue.cancel(ref),
    inject: (fault, place, times) =>
      server.faults.plan({ fault, path: PATHS[place], ...(times !== undefined && { times }) }),
    slow: (ms) => server.setDelay(ms),
    heal() {
      server.faults.clear();
      server.setDelay(0);
      server.queue.grace();
    },
    refuseResults: () => server.queue.refuseResults(true),
    expireCredential: async () => server.setToken(SECOND_TOKEN),
    async renewCredential() {
      await writeFile(tokenFile, SECOND_TOKEN, { mode: 0o600 });
      const deadlineMs = performance.now() + 5_000;
      while (credential.current().bearer() !== SECOND_TOKEN) {
        if (performance.now() > deadlineMs) throw new Error('the renewed credential is not read');
        clock.advance(500);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    advance,
    jumpWall: (ms) => void (wallJumpMs += ms),
    async reopen() {
      await adapter.stop();
      adapter = await start();
    },
    timers: () => timers.pending(),
    written: () => lines.join('\n'),
    async close() {
      http.stop();
      await adapter.stop();
      credential.stop();
      ceiling.stop();
      await server.close();
      await removeDirectory(directory);
    },
  };
}
