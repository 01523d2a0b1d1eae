import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createCrabAdapter, type CrabAdapter } from '../../../adapters/jobs/crab/crab-adapter.ts';
import type { NewJob } from '../../../adapters/jobs/job-adapter.ts';
import type { FrameworkAdapter } from '../../../adapters/jobs/kit/framework-adapter.ts';
import type {
  FaultPlace,
  FrameworkFault,
  FrameworkFixture,
  FrameworkOpening,
  FrameworkState,
} from '../../conformance/framework/fixture.ts';
import { openGround } from '../../conformance/framework/ground.ts';
import { untilQuiet } from '../../doubles/counted-http.ts';
import { makeArchive } from '../../doubles/crab/archive.ts';
import { createCrabClient, type Parameters } from '../../doubles/crab/client.ts';
import { startCrabDouble } from '../../doubles/crab/crab-double.ts';
import type { Fault } from '../../doubles/crab/faults.ts';
import { RestError } from '../../doubles/crab/rest-error.ts';
import { startSmallBridge } from '../../doubles/small-bridge.ts';
import { QUEUE, REPORTED_EVENTS, reportOf } from './crab-world.ts';

const FIRST_TOKEN = 'canary-token-of-the-first-day';
const SECOND_TOKEN = 'canary-token-of-the-second-day';
/** CRAB has no patience with jobs, for it knows none; an hour stands for it. */
const PATIENCE_MS = 3_600_000;
const STEP_MS = 1_000;
const MOST_STEPS = 60;
const SMALL: Parameters = { maxjobruntime: 30 };

const HOSTILE: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'a type that needs data': { tm_job_type: 'Analysis' },
  'another split': { tm_split_algo: 'Automatic' },
  'no split arguments': { tm_split_args: null },
  'a split of nothing': { tm_split_args: { events_per_job: 0 } },
  'more jobs than a task has': { tm_totalunits: 1e9 },
  'a shell word as script': { tm_scriptexe: '$(reboot)' },
  'a path as output': { tm_edm_outfiles: ['../out.root'] },
  'a quote in the release': { tm_job_sw: 'CMSSW_1_2_3"; rm' },
  'a line end in an argument': { tm_scriptargs: ['a\nb'] },
  'a climbing LFN': { tm_output_lfn: '/store/user/../../x' },
  'a user that is a list': { tm_username: ['alice'] },
  'no DN': { tm_user_dn: null },
  'no sandbox': { tm_user_sandbox: '' },
  'a sandbox that is not there': { tm_user_sandbox: 'gone.tar.gz' },
};

const FAULTS: Readonly<Record<FrameworkFault, Fault>> = {
  down: { kind: 'down' },
  lost: { kind: 'lost' },
  hang: { kind: 'hang' },
  twice: { kind: 'repeated' },
  half: { kind: 'cut' },
  html: { kind: 'html' },
  lie: { kind: 'pretended' },
  other: { kind: 'pretended' },
  shuffled: { kind: 'reversed' },
  busy: { kind: 'status', status: 503, done: false },
};

const PLACES: Readonly<Record<FaultPlace, readonly string[]>> = {
  take: ['workflowdb'],
  // Nobody is told over the wire that a job runs: the adapter's own web directory says it.
  news: [],
  // The first of the calls that end a job.
  end: ['filemetadata'],
  all: ['workflowdb', 'task', 'cache', 'filemetadata', 'fileusertransfers'],
};

const STATES: Readonly<Record<string, FrameworkState>> = {
  unsubmitted: 'waiting',
  idle: 'taken',
  running: 'running',
  transferring: 'finished',
  finished: 'finished',
  cooloff: 'waiting',
  failed: 'failed',
  killed: 'cancelled',
};

/**
 * The CRAB adapter over its double, for the contract of adapters. What the contract calls a fetch begins with a look for tasks, which the
 * adapter does by itself every so often; a job is `TASK/NUMBER`.
 */
export async function openCrabFixture({
  jobs,
  attempts = 1,
}: FrameworkOpening = {}): Promise<FrameworkFixture> {
  const ground = await openGround('crab-fixture');
  const { clock, directory } = ground;
  const tokens = new Map([
    [FIRST_TOKEN, 'alice'],
    ['of-the-user', 'alice'],
  ]);
  const crab = await startCrabDouble({ clock, authentication: { tokens } });
  const bridge = await startSmallBridge();
  const client = createCrabClient(crab.url, () => 'of-the-user');
  const wrapperFile = join(directory, 'CMSRunAnalysis.tar.gz');
  await writeFile(wrapperFile, makeArchive([{ name: 'CMSRunAnalysis.sh', content: 'exit 0\n' }]));
  const reached = await ground.reach({ url: crab.url, token: FIRST_TOKEN, jobs });
  const { http } = reached;
  const settings = {
    kind: 'crab',
    queues: { [QUEUE]: 'co-pilot' },
    attempts,
    options: {
      wrapperFile,
      cmsSite: 'T3_CH_Volunteer',
      requirements: '',
      pollSeconds: 60,
      automaticRetries: 0,
    },
  };
  const start = (): Promise<CrabAdapter> =>
    createCrabAdapter({ ...reached.parts(settings), bridge: bridge.access }, { directory });
  let crabAdapter = await start();
  let adapter = standing(crabAdapter);
  let submitted = 0;

  /** Looks for tasks before each fetch, and leaves what a job leaves before each end. */
  function standing(real: CrabAdapter): FrameworkAdapter {
    const outputs = new Map<string, NewJob['description']['outputs']>();
    return {
      ...real,
      async fetch(queue, max, accepted) {
        await real.worker.turn();
        const fetched = await real.fetch(queue, max, accepted);
        for (const { job, description } of fetched.jobs) outputs.set(job, description.outputs);
        return fetched;
      },
      finished(job, attempt, _manifest, usage, state) {
        const number = /"number":([0-9]+)/.exec(state)?.[1] ?? '1';
        const content: Readonly<Record<string, string>> = {
          'jobReport.json': reportOf(0),
          'wrapper-status.txt': '0\n',
          [`out_${number}.root`]: 'events',
        };
        const manifest = Object.entries(content).map(([name, text]) =>
          bridge.leave(job, attempt, name, text),
        );
        return real.finished(job, attempt, manifest, usage, state);
      },
    };
  }

  const isQuiet = (): boolean =>
    crab.stuck > 0
      ? http.open <= crab.stuck
      : http.open === 0 && !crabAdapter.worker.isBusy && !crabAdapter.transfers.isBusy;
  const submit = async (count: number, parameters: Parameters): Promise<readonly string[]> => {
    const task = await client.submit(`job_${++submitted}`, { ...parameters, algoargs: 1, totalunits: count });
    return Array.from({ length: count }, (_, at) => `${task}/${at + 1}`);
  };
  const nodes = async (task: string): Promise<Readonly<Record<string, { readonly State?: string }>>> => {
    const answer = await fetch(`${crabAdapter.statusUrl}/${task}/status_cache.json`);
    if (!answer.ok) return {};
    return (
      (await answer.json()) as { readonly nodes: Readonly<Record<string, { readonly State?: string }>> }
    ).nodes;
  };
  const taskOf = (ref: string): readonly [string, string] => {
    const at = ref.lastIndexOf('/');
    return [ref.slice(0, at), ref.slice(at + 1)];
  };

  return {
    ...reached.shown,
    get adapter() {
      return adapter;
    },
    queue: QUEUE,
    canaries: [FIRST_TOKEN, SECOND_TOKEN, bridge.access.token],
    patienceMs: PATIENCE_MS,
    cannot: { other: 'answers of CRAB that end a job name none' },
    hostile: Object.keys(HOSTILE),
    // A task each, so that one of them can be killed alone; many in one task.
    submit: async (count) =>
      count > 3
        ? submit(count, SMALL)
        : (await Promise.all(Array.from({ length: count }, () => submit(1, SMALL)))).flat(),
    async submitHostile(which) {
      const name = `260101_000000:alice_hostile_${++submitted}`;
      crab.tasks.insert(name, { tm_user_sandbox: 'x.tar.gz', ...HOSTILE[which] });
      return `${name}/1`;
    },
    submitHuge: async () => (await submit(1, { maxjobruntime: 120 }))[0] ?? '',
    events: () => REPORTED_EVENTS,
    async state(ref) {
      const [task, number] = taskOf(ref);
      const status = crab.tasks.get(task).tm_task_status;
      if (status === 'SUBMITFAILED' || status === 'SUBMITREFUSED') return 'failed';
      const state = STATES[(await nodes(task))[number]?.State ?? ''] ?? 'waiting';
      // A result counts where CRAB has its files.
      const isTold = crab.files
        .all()
        .some(({ taskname, ...row }) => taskname === task && row['jobid'] === number);
      const isMoved = crab.transfers.all().some((row) => row.taskname === task && row['job_id'] === number);
      return state === 'finished' && !(isTold && isMoved) ? 'running' : state;
    },
    async reason(ref) {
      const [task, number] = taskOf(ref);
      const failure = crab.tasks.get(task)['tm_task_failure'];
      if (typeof failure === 'string') return failure;
      const text = await (await fetch(`${crabAdapter.statusUrl}/${task}/node_state.txt`)).text();
      return text.split('\n')[Number(number) - 1] ?? '';
    },
    async taken() {
      const all = await Promise.all(crab.tasks.all().map(({ tm_taskname: task }) => nodes(task)));
      return all
        .flatMap((task) => Object.values(task))
        .filter(({ State: state }) => state === 'idle' || state === 'running').length;
    },
    async kill(ref) {
      await client.kill(taskOf(ref)[0]);
    },
    inject(fault, place, times) {
      for (const api of PLACES[place])
        crab.faults.add({ api, fault: FAULTS[fault], times: times ?? Number.MAX_SAFE_INTEGER });
    },
    slow: (ms) =>
      crab.faults.add({
        api: 'workflowdb',
        subresource: 'process',
        fault: { kind: 'slow', ms },
        times: Number.MAX_SAFE_INTEGER,
      }),
    heal: () => crab.faults.clear(),
    refuseResults() {
      Object.assign(crab.files, {
        put: () => {
          throw new RestError('InvalidParameter', "Incorrect 'outlfn' parameter");
        },
      });
    },
    async expireCredential() {
      tokens.delete(FIRST_TOKEN);
    },
    async renewCredential() {
      tokens.set(SECOND_TOKEN, 'alice');
      await reached.renew(SECOND_TOKEN);
      await untilQuiet(isQuiet);
    },
    advance: (ms) => ground.turn(ms, Math.max(STEP_MS, Math.ceil(ms / MOST_STEPS)), isQuiet),
    async reopen() {
      await crabAdapter.stop();
      crabAdapter = await start();
      adapter = standing(crabAdapter);
    },
    async close() {
      http.stop();
      await crab.stop();
      await crabAdapter.stop();
      await reached.stop();
      await bridge.stop();
      await ground.close();
    },
  };
}
