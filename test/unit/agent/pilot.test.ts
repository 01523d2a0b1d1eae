import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallAdapter, DeskRequest, PilotHost } from '../../../agent/pilot/pilot-host.ts';
import type { Answer } from '../../../agent/loop/asks.ts';
import type { Call } from '../../../protocol/generated/types.ts';
import { jobId, lease, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const PILOT = { pilot: { dialect: 'panda' } } as const;

let stage: Stage;
let steps: string[];
let answers: Answer<{ readonly body: string }>[];
let ask: CallAdapter;
let request: DeskRequest;
let host: PilotHost;

beforeEach(async () => {
  stage = await setStage();
  steps = [];
  answers = [];
  host = {
    async open(asked) {
      request = asked;
      steps.push(`open ${request.directory}`);
      ask = request.call;
      return {
        environment: { COPILOT_PILOT_URL: 'http://127.0.0.1:1', SEED: 'ours' },
        admit: () => steps.push('admit'),
        close: async () => void steps.push('close'),
        gather: async (outputs) => {
          steps.push(`gather ${outputs.map(({ name }) => name).join()}`);
          return undefined;
        },
      };
    },
  };
  stage.pilot = host;
});
afterEach(() => stage.broker.stop());

function question(method = 'getJob', signal = new AbortController().signal): void {
  void ask(method, '{}', signal).then((answer) => answers.push(answer));
}

function answer({ slot, counter, job, attempt }: Call, body = 'reply'): void {
  stage.broker.say({ kind: 'called', slot, counter, job, attempt, body });
}

describe('a job in pilot mode', () => {
  it('has its desk while it runs, its variables, and what it staged out before outputs are collected', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    expect(await stage.until(() => stage.launched.length === 1)).toBe(true);
    expect(stage.launched[0]?.environment).toMatchObject({
      COPILOT_PILOT_URL: 'http://127.0.0.1:1',
      SEED: 'ours',
    });
    const report = await stage.hears('report');
    expect(report.exit).toEqual({ kind: 'exited', code: 0 });
    expect(steps).toEqual([`open /memory/${jobId(0)}.1/work`, 'admit', 'close', 'gather out']);
  });

  it('asks in its own slot while it runs, and reports above what it asked', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    await stage.until(() => steps.includes('admit'));
    question();
    const call = await stage.hears('call');
    expect(call).toEqual({
      kind: 'call',
      slot: 1,
      counter: 2,
      job: jobId(0),
      attempt: 1,
      method: 'getJob',
      body: '{}',
    });
    answer(call);
    await stage.until(() => answers.length === 1);
    expect(answers).toMatchObject([{ kind: 'answered', message: { body: 'reply' } }]);
    expect((await stage.hears('report')).counter).toBe(3);
  });

  it('says the same again, with the same counter, where no answer comes; an answer for another attempt is none', async () => {
    stage.scripts.set('work', { afterMs: 60_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    await stage.until(() => steps.includes('admit'));
    question('updateJob');
    const first = await stage.hears('call');
    answer({ ...first, attempt: 2 }, 'of another');
    const second = await stage.hears('call');
    expect(second).toEqual(first);
    answer(second);
    await stage.until(() => answers.length === 1);
    expect(answers).toMatchObject([{ message: { body: 'reply' } }]);
  });

  it('is told where its attempt is not live any more', async () => {
    stage.scripts.set('work', { afterMs: 60_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    await stage.until(() => steps.includes('admit'));
    question();
    const { slot, counter } = await stage.hears('call');
    stage.broker.say({ kind: 'error', slot, counter, code: 'ATTEMPT_NOT_LIVE', message: '' });
    await stage.until(() => answers.length === 1);
    expect(answers).toMatchObject([{ kind: 'refused', code: 'ATTEMPT_NOT_LIVE' }]);
  });

  it('a question whose asker went away is given up', async () => {
    stage.scripts.set('work', { afterMs: 60_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    await stage.until(() => steps.includes('admit'));
    const asker = new AbortController();
    question('getJob', asker.signal);
    await stage.hears('call');
    asker.abort();
    await stage.until(() => answers.length === 1);
    expect(answers).toEqual([{ kind: 'given-up' }]);
  });

  it('one with parts takes and finishes them in its slot', async () => {
    stage.scripts.set('work', { afterMs: 60_000, ending: { kind: 'exited', code: 0 } });
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, { parts: true }));
    await stage.until(() => steps.includes('admit'));
    expect(request).toMatchObject({ isPilot: false, hasParts: true });
    const got: unknown[] = [];
    void request.parts('finish', ['a', 'b'], new AbortController().signal).then((said) => got.push(said));
    const asked = await stage.hears('parts');
    expect(asked).toMatchObject({ slot: 1, counter: 2, job: jobId(0), attempt: 1, verb: 'finish' });
    expect(asked.parts).toEqual(['a', 'b']);
    const { slot, counter, job, attempt } = asked;
    stage.broker.say({ kind: 'parted', slot, counter, job, attempt, parts: [{ id: 'c', body: '{}' }] });
    await stage.until(() => got.length === 1);
    expect(got).toMatchObject([{ kind: 'answered', message: { parts: [{ id: 'c', body: '{}' }] } }]);
  });

  it('a job that is no pilot has no desk', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    await stage.hears('report');
    expect(steps).toEqual([]);
    expect(stage.launched[0]?.environment).toMatchObject({ SEED: '7' });
  });

  it('an agent without pilot mode fails it with the reason', async () => {
    stage.pilot = undefined;
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    const { exit } = await stage.hears('report');
    expect(exit).toMatchObject({ kind: 'failed', reason: expect.stringContaining('LAUNCH_REFUSED') });
    expect(stage.launched).toEqual([]);
  });

  it('what was staged out and cannot be moved fails it with the reason', async () => {
    const usual = host;
    stage.pilot = {
      open: async (request) => ({
        ...(await usual.open(request)),
        gather: () => Promise.resolve('no rights'),
      }),
    };
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    expect((await stage.hears('report')).exit).toEqual({ kind: 'failed', reason: 'no rights' });
  });

  it('a desk that cannot be opened gives the job back', async () => {
    stage.pilot = { open: () => Promise.reject(new Error('no port is free')) };
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, PILOT));
    expect(await stage.hears('release')).toMatchObject({ reason: 'unable' });
  });
});
