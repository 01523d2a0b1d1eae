import type { AskBody } from '../../protocol/session/trusted-link.ts';
import { expect } from '../expectation.ts';
import { type AdapterCase, adapterCase } from './adapter-case.ts';
import type { AdapterScene } from './scene.ts';
import type { Talk } from './talk.ts';

const NEEDS = ['job', 'submit'] as const;
const AGENT = 'b'.repeat(26);
const USAGE = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 };

export const JOB_CASES: readonly AdapterCase[] = [
  adapterCase(
    'core',
    'T-11',
    'says that work is there, and hands it over',
    'T-6 T-16 T-19',
    NEEDS,
    async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      const job = await stage.submit(signal);
      const told = await talk.asked.take(
        (item) => item.op === 'available' && item.queue === stage.queue,
        stage.answerMs,
        signal,
      );
      expect(told !== undefined, 'it did not say that there is work');
      await expectHanded(scene, talk, job);
    },
  ),
  adapterCase(
    'full',
    'T-12',
    'hands a job over again on a new session until it is named as accepted',
    'T-5 T-6',
    NEEDS,
    async (scene) => {
      const { stage, signal } = scene;
      const job = await stage.submit(signal);
      await expectHanded(scene, await stage.talk(signal), job);
      const talk = await stage.newTalk(signal);
      await expectHanded(scene, talk, job);
      await accept(scene, talk, job);
      const later = await stage.newTalk(signal);
      expect(!(await fetchAll(scene, later)).includes(job), 'an accepted job was handed over again');
    },
  ),
  adapterCase(
    'full',
    'T-13',
    'hands over no more than is asked for, and says that there is more',
    'T-6',
    NEEDS,
    async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      await fetchAll(scene, talk);
      for (let jobs = 0; jobs < 3; jobs++) await stage.submit(signal);
      const answer = await talk.askFor(
        'jobs',
        { op: 'fetch', queue: stage.queue, max: 2, accepted: [] },
        signal,
      );
      expect(answer.jobs.length === 2, `${answer.jobs.length} jobs were handed over`);
      expect(answer.more, 'it does not say that there is more');
      await fetchAll(scene, talk);
    },
  ),
  adapterCase(
    'full',
    'T-14',
    'has no jobs in a queue that is not there',
    'T-6',
    ['job'],
    async ({ stage, signal }) => {
      const talk = await stage.talk(signal);
      const { jobs } = await talk.askFor(
        'jobs',
        { op: 'fetch', queue: 'nowhere', max: 5, accepted: [] },
        signal,
      );
      expect(jobs.length === 0, 'it has');
    },
  ),
  ...['started', 'renewed', 'released'].map((op, index) =>
    adapterCase(
      'full',
      `T-2${index + 1}`,
      `answers ${op} with ok, of older attempts and of unknown jobs too`,
      `T-5 T-${7 + index}`,
      NEEDS,
      async (scene) => {
        const { stage, signal } = scene;
        const talk = await stage.talk(signal);
        const job = await accepted(scene, talk);
        for (const [id, attempt] of [
          [job, 2],
          [job, 1],
          [job, 2],
          ['c'.repeat(26), 1],
        ] as const)
          await talk.askFor('ok', newsOf(op, id, attempt), signal);
      },
    ),
  ),
  adapterCase('full', 'T-31', 'takes a result, and the same again', 'T-5 T-10', NEEDS, async (scene) => {
    const { stage, signal } = scene;
    const talk = await stage.talk(signal);
    const job = await accepted(scene, talk);
    const finished: AskBody = { op: 'finished', job, attempt: 1, manifest: [], usage: USAGE };
    await talk.askFor('ok', finished, signal);
    await talk.askFor('ok', finished, signal);
  }),
  adapterCase(
    'full',
    'T-36',
    'names the same number of events when a result comes again, and none with anything else',
    'T-10 T-25',
    NEEDS,
    async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      const job = await accepted(scene, talk);
      const started = await talk.askFor('ok', newsOf('started', job, 1), signal);
      expect(started.events === undefined, 'it names events of a job that has only begun');
      const finished: AskBody = { op: 'finished', job, attempt: 1, manifest: [], usage: USAGE };
      const first = await talk.askFor('ok', finished, signal);
      const again = await (await stage.newTalk(signal)).askFor('ok', finished, signal);
      expect(again.events === first.events, `${String(first.events)} events became ${String(again.events)}`);
    },
  ),
  adapterCase('full', 'T-32', 'lets the first result stand', 'T-10', NEEDS, async (scene) => {
    const { stage, signal } = scene;
    const talk = await stage.talk(signal);
    const job = await accepted(scene, talk);
    const finished: AskBody = { op: 'finished', job, attempt: 1, manifest: [], usage: USAGE };
    await talk.askFor('ok', finished, signal);
    await talk.ask({ op: 'failed', job, outcome: 'failed', reason: 'too late', attempts: [] }, signal);
    await talk.askFor('ok', finished, signal);
    await talk.askFor('ok', newsOf('started', job, 7), signal);
    expect(
      !(await fetchAll(scene, await stage.newTalk(signal))).includes(job),
      'a finished job was handed over',
    );
  }),
  adapterCase(
    'full',
    'T-33',
    'refuses a result of a job it does not have',
    'T-10',
    ['job'],
    async ({ stage, signal }) => {
      const talk = await stage.talk(signal);
      const body: AskBody = { op: 'finished', job: 'd'.repeat(26), attempt: 1, manifest: [], usage: USAGE };
      await talk.expectRefused('RESULT_REFUSED', body, signal);
    },
  ),
  adapterCase(
    'full',
    'T-34',
    'takes the end of a job without result, and the same again',
    'T-5 T-11',
    NEEDS,
    async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      const job = await accepted(scene, talk);
      const attempts = [{ attempt: 1, reason: 'payload exited with code 1', logTail: 'the end\n' }];
      const failed: AskBody = { op: 'failed', job, outcome: 'failed', reason: 'used up its tries', attempts };
      await talk.askFor('ok', failed, signal);
      await talk.askFor('ok', failed, signal);
    },
  ),
  adapterCase(
    'full',
    'T-35',
    'refuses a call and parts of a job it does not have',
    'T-21 T-22',
    ['job'],
    async ({ stage, signal }) => {
      const talk = await stage.talk(signal);
      const unknown = { job: 'd'.repeat(26), attempt: 1 };
      await talk.askFor('refused', { op: 'call', ...unknown, method: 'conformance', body: '' }, signal);
      await talk.askFor('refused', { op: 'parts', ...unknown, verb: 'take', parts: [] }, signal);
    },
  ),
  adapterCase(
    'full',
    'T-41',
    'asks to end an accepted job that the framework cancelled',
    'T-17',
    [...NEEDS, 'cancel'],
    async (scene) => {
      const { stage, signal } = scene;
      const talk = await stage.talk(signal);
      const job = await accepted(scene, talk);
      await stage.subject.cancel?.(job, signal);
      const told = await talk.asked.take(
        (item) => item.op === 'kill' && item.job === job,
        stage.answerMs,
        signal,
      );
      expect(told !== undefined, 'it did not');
      await talk.askFor(
        'ok',
        { op: 'failed', job, outcome: 'cancelled', reason: 'cancelled', attempts: [] },
        signal,
      );
    },
  ),
];

function newsOf(op: string, job: string, attempt: number): AskBody {
  if (op === 'started') return { op, job, attempt, agent: AGENT };
  return op === 'renewed'
    ? { op, job, attempt, progress: 0.5 }
    : { op: 'released', job, attempt, reason: 'lost' };
}

async function fetchAll({ stage, signal }: AdapterScene, talk: Talk): Promise<readonly string[]> {
  const { jobs } = await talk.askFor(
    'jobs',
    { op: 'fetch', queue: stage.queue, max: 64, accepted: [] },
    signal,
  );
  return jobs.map(({ job }) => job);
}

async function expectHanded(scene: AdapterScene, talk: Talk, job: string): Promise<void> {
  const handed = await fetchAll(scene, talk);
  expect(handed.includes(job), 'the job was not handed over');
}

async function accept({ stage, signal }: AdapterScene, talk: Talk, job: string): Promise<void> {
  await talk.askFor('jobs', { op: 'fetch', queue: stage.queue, max: 1, accepted: [job] }, signal);
}

async function accepted(scene: AdapterScene, talk: Talk): Promise<string> {
  const job = await scene.stage.submit(scene.signal);
  await expectHanded(scene, talk, job);
  await accept(scene, talk, job);
  return job;
}
