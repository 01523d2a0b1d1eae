import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { openRefusedJobs, readRefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import type { FrameworkAdapter, FrameworkParts } from '../../../adapters/jobs/kit/framework-adapter.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import { createPandaAdapter } from '../../../adapters/jobs/panda/panda-adapter.ts';
import { openTakenJobs } from '../../../adapters/jobs/panda/taken-jobs.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import type { FrameworkCase } from '../../conformance/framework/case.ts';
import { FRAMEWORK_CASES } from '../../conformance/framework-adapter.ts';
import type {
  FaultPlace,
  FrameworkFault,
  FrameworkFixture,
  FrameworkOpening,
  FrameworkState,
} from '../../conformance/framework/fixture.ts';
import { countedHttp, untilQuiet } from '../../doubles/counted-http.ts';
import { createCountingClock } from '../../doubles/counting-clock.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import type { PandaFaults } from '../../doubles/panda/faults.ts';
import type { WantedJob } from '../../doubles/panda/job-spec.ts';
import { pythonText } from '../../doubles/panda/python-values.ts';
import { startPanda } from '../../doubles/panda/panda-server.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const QUEUE = 'main';
const HOUR_MS = 3_600_000;
/** Shorter than a call may take, so that none is given up while the clock turns. */
const LONGEST_STEP_MS = 55_000;
const STEPS = 10;
const MONTH_SECONDS = 30 * 86_400;

/**
 * Cases that are not for PanDA: it gives a job once, and lists to nobody what it gave. Where the answer is lost, the job comes back when
 * the watcher has missed it for half an hour (panda-faults.test.ts has that).
 */
const GIVEN_ONCE: readonly string[] = [
  'loses no job and takes none twice where the answer of the framework was lost',
  'gets every job, each once, though a call that takes jobs went wrong: half',
  'gets every job, each once, though a call that takes jobs went wrong: twice',
  'gives up a call that hangs, and gets its jobs afterwards',
];

export const PANDA_CASES: readonly FrameworkCase[] = FRAMEWORK_CASES.filter(
  ({ title }) => !GIVEN_ONCE.includes(title),
);

/** What the suite's broker reports as a result. */
const GOOD: WantedJob = { outputs: [{ lfn: 'out.txt' }], log: null };

const HOSTILE: Readonly<Record<string, WantedJob>> = {
  'a shell word in jobPars': { parameters: '--n 1; touch /tmp/x' },
  'a substitution in jobPars': { parameters: '$(id)' },
  'a path in an output': { outputs: [{ lfn: '../../etc/passwd' }] },
  'a path in an input': { inputs: [{ lfn: '../x', checksum: 'ad:1' }] },
  'a transformation from elsewhere': { transformation: 'http://elsewhere.example.org/trf/x.sh' },
  'a command as transformation': { transformation: 'sh -c reboot' },
  'no storage': { outputs: [{ lfn: 'a', endpoint: 'NULL' }] },
  'a release': { release: 'Atlas-25.0.1' },
  'a container': { container: 'docker://x' },
  'a description of 100 KB': { parameters: 'x'.repeat(100_000) },
  'a log that is no output': { extra: { logFile: 'elsewhere.tgz' } },
  'lists of different lengths': { extra: { scopeOut: 'a,b,c,d,e' } },
  'outputs without end': { outputs: Array.from({ length: 90 }, (_, at) => ({ lfn: `f${at}` })) },
};

const STATES: Readonly<Record<string, FrameworkState>> = {
  activated: 'waiting',
  sent: 'taken',
  starting: 'taken',
  running: 'running',
  holding: 'running',
  transferring: 'running',
  finished: 'finished',
  failed: 'failed',
  cancelled: 'cancelled',
};

const PLACES: Readonly<Record<FaultPlace, Partial<PandaFaults>>> = {
  take: { methods: ['acquire_jobs', 'getJob'] },
  news: {
    methods: ['update_job', 'update_jobs_bulk', 'updateJob', 'updateJobsInBulk'],
    says: ['starting', 'running'],
  },
  end: {
    methods: [
      'update_job',
      'update_jobs_bulk',
      'updateJob',
      'updateJobsInBulk',
      'get_job_status',
      'getStatus',
    ],
    says: ['finished', 'failed'],
  },
  all: {},
};

function faultsOf(fault: FrameworkFault): Partial<PandaFaults> {
  switch (fault) {
    case 'down':
      return { isDown: true };
    case 'lost':
      return { lostAnswers: 1 };
    case 'hang':
      return { hangs: true };
    case 'twice':
      return { repeats: true };
    case 'half':
      return { isHalf: true };
    case 'html':
      return { isHtml: true };
    case 'lie':
      return { lies: true };
    case 'other':
      return { isOther: true, methods: ['get_job_status'] };
    case 'shuffled':
      return { isShuffled: true };
    case 'busy':
      return { isBusy: true };
  }
}

/** The adapter over the double for the suite of all frameworks: real sockets and files, a clock that the test turns. */
export async function openPandaFixture(
  { jobs, attempts = 1 }: FrameworkOpening = {},
  api: 'v1' | 'legacy' = 'v1',
): Promise<FrameworkFixture> {
  const directory = await temporaryDirectory('panda-suite');
  const clock = createManualClock();
  let wallJumpMs = 0;
  const ownClock = { ...clock, wallMs: () => clock.wallMs() + wallJumpMs };
  const lines: string[] = [];
  const note = (fields: object, message: string): void =>
    void lines.push(inspect([fields, message], { depth: 9 }));
  const log: Log = { debug: note, info: note, warn: note, error: note };
  // What the adder says comes with its answer, so that the suite sees at once what a last word led to.
  const panda = await startPanda({ clock, dialects: [api], table: { adderMs: 0 } });
  const [first, second] = [1, 2].map((number) =>
    panda.token({ expiresInSeconds: MONTH_SECONDS, name: `canary of day ${number}` }),
  ) as [string, string];
  const tokenFile = join(directory, 'token');
  await writeFile(tokenFile, first, { mode: 0o600 });
  const credential = await openCredentialFiles({ tokenFile }, { clock: ownClock, log });
  const ceilingFile = join(directory, 'ceiling.json');
  await writeFile(ceilingFile, JSON.stringify({ wallSeconds: 3600, ...(jobs !== undefined && { jobs }) }));
  const ceiling = await openCeiling(ceilingFile, { clock: ownClock, log });
  const refusedFile = join(directory, 'refused.jsonl');
  const refused = await openRefusedJobs(refusedFile, { clock: ownClock, log });
  const http = countedHttp(
    await createFrameworkHttp({
      url: panda.url,
      credential,
      timeoutMs: 60_000,
      maxAnswerBytes: 16 * 1024 * 1024,
      clock: ownClock,
    }),
  );
  let timers = createCountingClock(ownClock);
  let adapter: FrameworkAdapter = await start();

  async function start(): Promise<FrameworkAdapter> {
    timers = createCountingClock(ownClock);
    const parts: FrameworkParts = {
      clock: timers,
      random: nodeRandom,
      log,
      name: 'panda',
      settings: {
        kind: 'panda',
        url: panda.url,
        queues: { [QUEUE]: 'CP_TEST' },
        credential: { tokenFile },
        attempts,
        ceilingFile,
        options: { api, origin: 'atlas.production', label: 'unified', heartbeatMinutes: 1 },
      },
      http,
      openHttp: () => Promise.resolve(http),
      credential,
      ceiling,
      refused,
      bridge: undefined,
    };
    return createPandaAdapter(parts, await openTakenJobs(join(directory, 'taken-jobs.json')));
  }

  const quiet = (): Promise<void> => untilQuiet(() => http.open <= panda.stuck + panda.delayed);
  const submitted = (wanted: WantedJob): string => String(panda.submit(wanted)[0]);

  return {
    get adapter() {
      return adapter;
    },
    queue: QUEUE,
    canaries: [first, second, first.slice(-80), second.slice(-80)],
    patienceMs: 2 * HOUR_MS,
    hostile: Object.keys(HOSTILE),
    submit: async (count) => Array.from({ length: count }, () => submitted(GOOD)),
    submitHostile: async (which) => submitted({ ...GOOD, ...HOSTILE[which] }),
    submitHuge: async () => submitted({ ...GOOD, maxWallSeconds: 7200 }),
    state: async (ref) => STATES[panda.job(Number(ref)).state] ?? 'waiting',
    reason: async (ref) => pythonText(panda.job(Number(ref)).fields['pilot_error_diag']),
    async refused() {
      await refused.settled();
      return readRefusedJobs(refusedFile);
    },
    taken: async () =>
      panda.table.jobs().filter(({ state }) => ['taken', 'running'].includes(STATES[state] ?? '')).length,
    kill: async (ref) => void panda.table.kill(Number(ref)),
    inject: (fault, place, times) =>
      panda.setFaults({ ...PLACES[place], ...faultsOf(fault), ...(times !== undefined && { times }) }),
    slow: (ms) => panda.setFaults({ delayMs: ms }),
    heal: () => panda.heal(),
    refuseResults: () => void (panda.table.refusesResults = true),
    expireCredential: async () => panda.revoke(first),
    async renewCredential() {
      await writeFile(tokenFile, second, { mode: 0o600 });
      const deadlineMs = performance.now() + 5_000;
      while (credential.current().bearer() !== second) {
        if (performance.now() > deadlineMs) throw new Error('the renewed credential is not read');
        clock.advance(500);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
    async advance(ms) {
      const step = Math.min(LONGEST_STEP_MS, Math.max(1_000, Math.ceil(ms / STEPS)));
      await quiet();
      for (let left = ms; left > 0; left -= step) {
        clock.advance(Math.min(step, left));
        await quiet();
      }
    },
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
      await panda.close();
      await removeDirectory(directory);
    },
  };
}
