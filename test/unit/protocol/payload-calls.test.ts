import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobAdapter } from '../../../adapters/jobs/job-adapter.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Lease } from '../../../protocol/generated/types.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent, type RawAgent } from '../../doubles/raw-agent.ts';

const STATE = '{"PandaID":4001}';
const RANGE = { id: '77-4001-3-1-1', body: '{"startEvent":1}' };

let stage: BrokerStage;
let agent: RawAgent;
let counter: number;
let asked: unknown[];
let answer: () => Promise<string>;

beforeEach(async () => {
  asked = [];
  answer = async () => 'StatusCode=0';
  stage = await createBrokerStage({ seed: 11, adapt: answering });
  agent = await createRawAgent(stage, stage.enrol(), STAGE);
  await agent.hear('welcome');
  counter = 0;
});

afterEach(async () => {
  await stage.stop();
});

function answering(framework: JobAdapter): JobAdapter {
  const note =
    <P extends readonly unknown[], R>(name: string, go: (...parameters: P) => R) =>
    (...parameters: P): R => {
      asked.push([name, ...parameters]);
      return go(...parameters);
    };
  return {
    ...framework,
    started: note('started', (...told: Parameters<JobAdapter['started']>) => framework.started(...told)),
    failed: note('failed', (...told: Parameters<JobAdapter['failed']>) => framework.failed(...told)),
    call: note('call', () => answer()),
    parts: note('parts', async (_job, _attempt, verb) => (verb === 'take' ? [RANGE] : [])),
  };
}

async function lease(job: object = {}): Promise<Lease> {
  stage.submit({ retries: 0, ...job });
  agent.say({ kind: 'request', slot: 1, counter: ++counter, ad: {}, seen: [] });
  return (await agent.hear('job')).lease;
}

const call = ({ job, attempt }: Pick<Lease, 'job' | 'attempt'>, change: object = {}) => ({
  kind: 'call',
  slot: 1,
  counter: ++counter,
  job,
  attempt,
  method: 'getJob',
  body: '{}',
  ...change,
});

describe('a call of a payload', () => {
  // proves: M-22, T-21, T-23
  it("reaches the job's adapter with the job's state, and its answer comes back", async () => {
    const held = await lease({ state: STATE });
    agent.say(call(held));
    expect(await agent.hear('called')).toMatchObject({ slot: 1, counter: 2, body: 'StatusCode=0' });
    expect(asked).toContainEqual(['call', held.job, held.attempt, 'getJob', '{}', STATE]);
    expect(asked).toContainEqual(['started', held.job, held.attempt, agent.enrolled.agent, STATE]);
  });

  // proves: M-22
  it('of another agent, another attempt or after the end reaches nobody', async () => {
    const held = await lease();
    const thief = await createRawAgent(stage, stage.enrol(), STAGE);
    await thief.hear('welcome');
    thief.say(call(held));
    expect(await thief.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
    agent.say(call({ ...held, attempt: held.attempt + 1 }));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
    await stage.clock.run(61_000); // the first renewal never came
    agent.say(call(held));
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
    expect(asked.filter((one) => Array.isArray(one) && one[0] === 'call')).toEqual([]);
  });

  // proves: M-22
  it.each([
    ['UNSUPPORTED', 'UNSUPPORTED'],
    ['NOT_AUTHORIZED', 'NOT_AUTHORIZED'],
    ['UNREACHABLE', 'INTERNAL'],
    ['LEDGER_FULL', 'INTERNAL'],
  ] as const)('that the adapter refuses with %s is answered %s', async (code, heard) => {
    answer = () => Promise.reject(new CoPilotError(code, 'no'));
    agent.say(call(await lease()));
    expect(await agent.hear('error')).toMatchObject({ code: heard, slot: 1, counter: 2 });
  });

  // proves: X-1
  it('longer than its bound, with a method of its own or an answer over the bound is refused', async () => {
    const held = await lease();
    agent.say(call(held, { body: 'x'.repeat(24_577) }));
    expect(await agent.hear('error')).toMatchObject({ code: 'MALFORMED_MESSAGE' });
    agent.say(call(held, { method: '../job/kill' }));
    expect(await agent.hear('error')).toMatchObject({ code: 'MALFORMED_MESSAGE' });
    answer = async () => 'x'.repeat(24_577);
    agent.say(call(held));
    expect(await agent.hear('error')).toMatchObject({ code: 'FRAME_TOO_LARGE' });
  });

  it('whose answer grows beyond a message by its escapes is an error, and the agent works on', async () => {
    const held = await lease();
    answer = async () => '\u0001'.repeat(20_000);
    agent.say(call(held));
    expect(await agent.hear('error')).toMatchObject({ slot: 1 });
    answer = async () => 'fine';
    agent.say(call(held));
    expect(await agent.hear('called')).toMatchObject({ body: 'fine' });
  });
});

describe('parts of a job', () => {
  // proves: M-24, T-22
  it('are taken and finished under the fence of the attempt', async () => {
    const held = await lease({ state: STATE });
    const parts = { kind: 'parts', slot: 1, job: held.job, attempt: held.attempt };
    agent.say({ ...parts, counter: ++counter, verb: 'take', parts: [] });
    expect(await agent.hear('parted')).toMatchObject({ parts: [RANGE] });
    agent.say({ ...parts, counter: ++counter, verb: 'finish', parts: [RANGE.id] });
    expect(await agent.hear('parted')).toMatchObject({ parts: [] });
    expect(asked).toContainEqual(['parts', held.job, held.attempt, 'finish', [RANGE.id], STATE]);
    agent.say({ ...parts, attempt: 9, counter: ++counter, verb: 'finish', parts: [RANGE.id] });
    expect(await agent.hear('error')).toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
  });
});

describe('what an adapter gave with a job', () => {
  // proves: T-23, T-24
  it('comes back with its end, and with the exit that the agent reported', async () => {
    const { job, attempt } = await lease({ state: STATE });
    const said = { job, attempt, exit: { kind: 'exited', code: 65 } as const, manifest: [] };
    const body = {
      usage: { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 },
      logTail: '',
      seen: [],
    };
    agent.say({ kind: 'report', slot: 1, counter: ++counter, ...said, ...body, signature: agent.sign(said) });
    await agent.hear('reported');
    await stage.clock.run(1_000);
    const failed = asked.find((one): one is unknown[] => Array.isArray(one) && one[0] === 'failed');
    expect(failed?.at(-1)).toBe(STATE);
    expect(failed?.[4]).toMatchObject([{ attempt, exit: { kind: 'exited', code: 65 } }]);
  });
});
