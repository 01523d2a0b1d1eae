import { join } from 'node:path';
import type { FrameworkAdapter } from '../../../adapters/jobs/kit/framework-adapter.ts';
import { createPandaAdapter } from '../../../adapters/jobs/panda/panda-adapter.ts';
import { openJobJournal } from '../../../adapters/jobs/kit/job-journal.ts';
import { openJobNotes } from '../../../adapters/jobs/panda/job-notes.ts';
import { JOURNAL_FILE, readTakenJob } from '../../../adapters/jobs/panda/taken-job.ts';
import type { FrameworkCase } from '../../conformance/framework/case.ts';
import { FRAMEWORK_CASES } from '../../conformance/framework-adapter.ts';
import type {
  FaultPlace,
  FrameworkFault,
  FrameworkFixture,
  FrameworkOpening,
  FrameworkState,
} from '../../conformance/framework/fixture.ts';
import { openGround } from '../../conformance/framework/ground.ts';
import type { PandaFaults } from '../../doubles/panda/faults.ts';
import type { WantedJob } from '../../doubles/panda/job-spec.ts';
import { pythonText } from '../../doubles/panda/python-values.ts';
import { startPanda } from '../../doubles/panda/panda-server.ts';

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
  const ground = await openGround('panda-suite');
  const { clock, directory } = ground;
  // What the adder says comes with its answer, so that the suite sees at once what a last word led to.
  const panda = await startPanda({ clock, dialects: [api], table: { adderMs: 0 } });
  const [first, second] = [1, 2].map((number) =>
    panda.token({ expiresInSeconds: MONTH_SECONDS, name: `canary of day ${number}` }),
  ) as [string, string];
  const reached = await ground.reach({ url: panda.url, token: first, jobs });
  const { http } = reached;
  const start = async (): Promise<FrameworkAdapter> => {
    const options = { api, origin: 'atlas.production', label: 'unified', heartbeatMinutes: 1 };
    const parts = reached.parts({ kind: 'panda', queues: { [QUEUE]: 'CP_TEST' }, attempts, options });
    const journal = await openJobJournal({ path: join(directory, JOURNAL_FILE), read: readTakenJob });
    return createPandaAdapter(parts, journal, await openJobNotes(join(directory, 'job-notes')));
  };
  let adapter = await start();
  const submitted = (wanted: WantedJob): string => String(panda.submit(wanted)[0]);

  return {
    ...reached.shown,
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
    taken: async () =>
      panda.table.jobs().filter(({ state }) => ['taken', 'running'].includes(STATES[state] ?? '')).length,
    kill: async (ref) => void panda.table.kill(Number(ref)),
    inject: (fault, place, times) =>
      panda.setFaults({ ...PLACES[place], ...faultsOf(fault), ...(times !== undefined && { times }) }),
    slow: (ms) => panda.setFaults({ delayMs: ms }),
    heal: () => panda.heal(),
    refuseResults: () => void (panda.table.refusesResults = true),
    expireCredential: async () => panda.revoke(first),
    renewCredential: () => reached.renew(second),
    advance(ms) {
      const step = Math.min(LONGEST_STEP_MS, Math.max(1_000, Math.ceil(ms / STEPS)));
      return ground.turn(ms, step, () => http.open <= panda.stuck + panda.delayed);
    },
    async reopen() {
      await adapter.stop();
      adapter = await start();
    },
    async close() {
      http.stop();
      await adapter.stop();
      await reached.stop();
      await panda.close();
      await ground.close();
    },
  };
}
