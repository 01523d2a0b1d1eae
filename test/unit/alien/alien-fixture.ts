import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createAlienAdapter } from '../../../adapters/jobs/alien/alien-adapter.ts';
import { writeTar } from '../../../adapters/jobs/alien/tar-writer.ts';
import type { FrameworkAdapter } from '../../../adapters/jobs/kit/framework-adapter.ts';
import type {
  FrameworkFault,
  FrameworkFixture,
  FrameworkOpening,
  FrameworkState,
} from '../../conformance/framework/fixture.ts';
import { openGround } from '../../conformance/framework/ground.ts';
import { startAlienDouble } from '../../doubles/alien/alien-double.ts';
import { startOperatorBridge } from '../../doubles/operator-bridge.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';

const QUEUE = 'main';
const CE = 'ALICE::VOLUNTEER::COPILOT';
const FIRST_TOKEN = 'canary-token-of-the-first-day';
const SECOND_TOKEN = 'canary-token-of-the-second-day';
const BIN = '/alice/cern.ch/user/v/vol/bin';
const GOOD_JOB =
  'Executable = "job.sh"; TTL = 1200; OutputDir = "/alice/out/COUNT"; OutputFile = {"stdout@disk=1"};';
const STEP_MS = 1_000;
const MOST_STEPS = 60;
/** Shorter than a call may take: in one step no answer can come. */
const LONGEST_STEP_MS = 45_000;

/** What is lost where the answer that hands a job out is: the queue keeps its token to itself, and its optimiser expires the job. */
const HANDED_OUT_ONCE = 'the queue hands a job out once, and lists to nobody what it handed out';

const HOSTILE: Readonly<Record<string, string>> = {
  'no such executable': 'Executable = "nothing.sh";',
  'an executable outside': 'Executable = "/alice/../../etc/passwd";',
  'an input outside': 'Executable = "job.sh"; InputFile = {"LF:/alice/../../etc/passwd"};',
  'an input that begins with a dash':
    'Executable = "job.sh"; InputFile = {"LF:/alice/--checkpoint-action=exec"};',
  'an output outside': 'Executable = "job.sh"; OutputFile = {"../../x"};',
  'a shell word in an output': 'Executable = "job.sh"; OutputFile = {"$(id)"};',
  'an output directory outside': 'Executable = "job.sh"; OutputDir = "/alice/../x";',
  'more memory than there is': 'Executable = "job.sh"; MemorySize = "64GB";',
  'requirements that nobody meets': 'Executable = "job.sh"; Requirements = other.Magic == 7;',
  'requirements that are none': 'Executable = "job.sh"; Requirements = (( other.TTL;',
  'a time that is none': 'Executable = "job.sh"; TTL = "soon";',
  'too many outputs': `Executable = "job.sh"; OutputFile = {${Array.from({ length: 300 }, (_, at) => `"f${at}"`).join(',')}};`,
};

const STATES: Readonly<Record<string, FrameworkState>> = {
  INSERTING: 'waiting',
  WAITING: 'waiting',
  ASSIGNED: 'taken',
  STARTED: 'running',
  RUNNING: 'running',
  SAVING: 'running',
  ZOMBIE: 'running',
  SAVED: 'finished',
  DONE: 'finished',
  KILLED: 'cancelled',
};

/** The adapter over the classic services' double: real sockets and files, a clock that the test turns. */
export async function openAlienFixture({
  jobs,
  attempts = 1,
}: FrameworkOpening = {}): Promise<FrameworkFixture> {
  const ground = await openGround('alien-fixture');
  const { clock, directory: folder } = ground;
  const catalogue = join(folder, 'catalogue');
  await mkdir(join(catalogue, BIN), { recursive: true });
  await writeFile(join(catalogue, BIN, 'job.sh'), '#!/bin/sh\necho hello\n');
  await mkdir(dirname(join(catalogue, '/alice/x')), { recursive: true });
  await writeFile(join(catalogue, '/alice/--checkpoint-action=exec'), 'x');
  const tar = join(folder, 'outputs.tar');
  await writeTar(tar, [
    { name: 'stdout', isExecutable: false, content: { kind: 'bytes', bytes: Buffer.from('hello\n') } },
  ]);

  const double = await startAlienDouble({ clock, random: createSeededRandom(11) });
  double.setToken(FIRST_TOKEN);
  const bridge = await startOperatorBridge();
  const reached = await ground.reach({ url: double.url, token: FIRST_TOKEN, jobs });
  const { http } = reached;
  const settings = {
    kind: 'alien',
    queues: { [QUEUE]: CE },
    attempts,
    options: {
      user: 'vol',
      catalogueDirectory: catalogue,
      pollSeconds: 1,
      heartbeatSeconds: 120,
      lookSeconds: 100,
    },
  };
  const status = Buffer.from('exit=0\nvalidation=none\n');
  const finish = async (
    own: FrameworkAdapter,
    job: string,
    attempt: number,
    ...[usage, state]: [Parameters<FrameworkAdapter['finished']>[3], string]
  ): ReturnType<FrameworkAdapter['finished']> => {
    const manifest = [
      bridge.addResult(job, attempt, 'co-pilot-status', status),
      bridge.addResult(job, attempt, 'co-pilot-outputs.tar', await readFile(tar)),
    ];
    return own.finished(job, attempt, manifest, usage, state);
  };
  /** Calls of the broker that are under way: they read and write files, which no clock knows of. */
  let asked = 0;
  let adapter = await start();

  async function start(): Promise<FrameworkAdapter> {
    const parts = reached.parts(settings, { bridge, random: createSeededRandom(5) });
    const own = await createAlienAdapter(parts, join(folder, 'adapter'));
    const counted = async <T>(call: Promise<T>): Promise<T> => {
      asked++;
      try {
        return await call;
      } finally {
        asked--;
      }
    };
    return {
      ...own,
      fetch: (queue, max, accepted) => counted(own.fetch(queue, max, accepted)),
      /** The suite's result has a file of any kind: here it is what the script of a job leaves. */
      finished: (job, attempt, _manifest, usage, state) => counted(finish(own, job, attempt, usage, state)),
      failed: (...told) => counted(own.failed(...told)),
    };
  }
  const isQuiet = (): boolean => http.open <= double.stuck && (asked === 0 || http.open > 0);
  const advance = (ms: number): Promise<void> =>
    ground.turn(ms, Math.min(LONGEST_STEP_MS, Math.max(STEP_MS, Math.ceil(ms / MOST_STEPS))), isQuiet);
  let submitted = 0;
  const submit = (jdl: string): string => {
    const id = String(double.queue.submit('vol', jdl.replace('COUNT', String(++submitted))));
    clock.advance(1);
    return id;
  };
  const rowOf = (ref: string) => {
    const row = double.queue.row(Number(ref));
    if (row === undefined) throw new Error(`no job ${ref}`);
    return row;
  };
  const cannot: Partial<Record<FrameworkFault, string>> = {
    lost: HANDED_OUT_ONCE,
    hang: HANDED_OUT_ONCE,
    twice: HANDED_OUT_ONCE,
    half: HANDED_OUT_ONCE,
    other: 'an answer names no job, and a connection carries one call',
    shuffled: 'no answer is a list of jobs',
  };

  return {
    ...reached.shown,
    get adapter() {
      return adapter;
    },
    queue: QUEUE,
    get canaries() {
      // A job's token is a credential too; the queue has them while jobs run.
      const tokens = double.queue.rows().flatMap(({ token }) => token ?? []);
      return [FIRST_TOKEN, SECOND_TOKEN, ...tokens];
    },
    patienceMs: 3_600_000,
    cannot,
    hostile: Object.keys(HOSTILE),
    submit: async (count) => Array.from({ length: count }, () => submit(GOOD_JOB)),
    submitHostile: async (which) => submit(HOSTILE[which] ?? ''),
    submitHuge: async () => submit(GOOD_JOB.replace('1200', '7200')),
    state: async (ref) => STATES[rowOf(ref).status] ?? 'failed',
    reason: async (ref) =>
      rowOf(ref)
        .log.filter(({ tag }) => tag === 'error')
        .map(({ text }) => text)
        .join('\n'),
    taken: async () =>
      double.queue.rows().filter(({ status: state }) => ['taken', 'running'].includes(STATES[state] ?? ''))
        .length,
    kill: async (ref) => void double.queue.kill(Number(ref)),
    inject(fault, place, times) {
      if (fault === 'other' || fault === 'shuffled') throw new Error(`the wire has no ${fault}`);
      double.inject(fault, place, times);
    },
    slow: (ms) => double.setDelay(ms),
    heal() {
      double.heal();
      double.queue.grace();
    },
    refuseResults() {
      for (const { id, status: state } of double.queue.rows())
        if (STATES[state] === 'running') double.queue.force(id, 'EXPIRED');
    },
    expireCredential: async () => double.setToken(SECOND_TOKEN),
    async renewCredential() {
      await reached.renew(SECOND_TOKEN);
      // The queue is not asked again at once where it had nothing.
      clock.advance(1_000);
    },
    advance,
    async reopen() {
      await adapter.stop();
      adapter = await start();
    },
    async close() {
      http.stop();
      await adapter.stop();
      await reached.stop();
      await double.stop();
      await bridge.stop();
      await ground.close();
    },
  };
}
