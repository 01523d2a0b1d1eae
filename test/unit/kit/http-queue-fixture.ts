import type {
  CreateFrameworkAdapter,
  FrameworkAdapter,
} from '../../../adapters/jobs/kit/framework-adapter.ts';
import type { FaultPlace, FrameworkFixture, FrameworkOpening } from '../../conformance/framework/fixture.ts';
import { openGround } from '../../conformance/framework/ground.ts';
import { HOLD_MS, type SubmittedJob } from '../../doubles/http-queue/queue.ts';
import { startHttpQueue } from '../../doubles/http-queue/server.ts';
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
const EVENTS = 1_000;
const STEP_MS = 1_000;
const STEPS = 20;
/** Far below the deadline of a call, which would end before its answer could come. */
const MOST_STEP_MS = 15_000;

/** An adapter of the plain HTTP queue over its double: real sockets and files, a clock that the test turns. */
export async function openHttpQueueFixture(
  create: CreateFrameworkAdapter,
  { jobs, attempts = 1 }: FrameworkOpening = {},
): Promise<FrameworkFixture> {
  const ground = await openGround('http-queue');
  const { clock } = ground;
  const server = await startHttpQueue({ clock, token: FIRST_TOKEN });
  const reached = await ground.reach({ url: server.url, token: FIRST_TOKEN, jobs });
  const { http } = reached;
  const start = (): Promise<FrameworkAdapter> =>
    create(reached.parts({ kind: 'http-queue', queues: { [QUEUE]: THEIRS }, attempts, options: {} }));
  let adapter = await start();
  const advance = (ms: number): Promise<void> => {
    const step = Math.min(MOST_STEP_MS, Math.max(STEP_MS, Math.ceil(ms / STEPS)));
    return ground.turn(ms, step, () => http.open <= server.stuck);
  };
  const submitted = (job: SubmittedJob): string => server.queue.submit(THEIRS, [job])[0] ?? '';

  return {
    ...reached.shown,
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
        Array.from({ length: count }, () => ({ ...GOOD_JOB, events: EVENTS })),
      ),
    events: () => EVENTS,
    submitHostile: async (which) => submitted(HOSTILE_JOBS[which] ?? {}),
    submitHuge: async () => submitted({ ...GOOD_JOB, wallSeconds: 7200 }),
    state: async (ref) => server.queue.job(ref)?.state ?? 'waiting',
    reason: async (ref) => server.queue.job(ref)?.reason ?? '',
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
    renewCredential: () => reached.renew(SECOND_TOKEN),
    advance,
    async reopen() {
      await adapter.stop();
      adapter = await start();
    },
    async close() {
      http.stop();
      await adapter.stop();
      await reached.stop();
      await server.close();
      await ground.close();
    },
  };
}
