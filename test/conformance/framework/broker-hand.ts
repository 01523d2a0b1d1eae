import { expect } from 'vitest';
import type { NewJob, Work } from '../../../adapters/jobs/job-adapter.ts';
import { type AskItem, answerJobItem } from '../../../adapters/jobs/serve.ts';
import { isAnswers, isAsk } from '../../../protocol/generated/validators.js';
import type { FrameworkFixture } from './fixture.ts';

const AGENT = 'b'.repeat(26);
const USAGE = { wallSeconds: 10, cpuSeconds: 8, memoryMiB: 64, diskMiB: 1 };
const STORED = { name: 'out.txt', size: 3, sha256: 'c'.repeat(64), adler32: '024d0127', md5: 'd'.repeat(32) };

/** What a question of the broker came to. */
export type Came = 'ok' | 'refused' | 'again';

/** `Omit` that keeps a union one. */
type Unnumbered = AskItem extends infer Item ? (Item extends AskItem ? Omit<Item, 'item'> : never) : never;

/** The broker's side of an adapter: asks by the items of the wire, and keeps everything it is told. */
export interface BrokerHand {
  /** Jobs handed over; empty where the adapter rejects. */
  fetch(max: number, accepted?: readonly string[]): Promise<readonly NewJob[]>;
  /** As `fetch`, with whether there are more. */
  fetchMore(max: number): Promise<boolean>;
  /** One job handed over and accepted. */
  accepted(): Promise<NewJob>;
  started(job: NewJob, attempt: number): Promise<Came>;
  renewed(job: NewJob, attempt: number, progress?: number): Promise<Came>;
  released(job: NewJob, attempt: number): Promise<Came>;
  finished(job: NewJob, attempt: number): Promise<Came>;
  failed(job: NewJob, outcome: 'failed' | 'cancelled', reason: string, state?: string): Promise<Came>;
  /** Of how many events the last result was, as it was answered; undefined where that was not said. */
  events(): number | undefined;
  /** What the adapter said unasked since the last look. */
  heard(): readonly Work[];
  /** Every answer and every message so far. */
  written(): string;
}

export function createBrokerHand(fixture: FrameworkFixture): BrokerHand {
  const lines: string[] = [];
  let heard: Work[] = [];
  let item = 0;
  let events: number | undefined;
  const listening = new WeakSet<object>();

  /** An adapter that was opened again has no handler yet. */
  const listen = (): void => {
    const { adapter } = fixture;
    if (listening.has(adapter)) return;
    listening.add(adapter);
    adapter.onWork((work) => {
      heard.push(work);
      lines.push(JSON.stringify(work));
    });
  };
  const ask = async (body: Unnumbered) => {
    listen();
    const asked = { ...body, item: ++item } as AskItem;
    expect(isAsk({ kind: 'ask', items: [asked] })).toBe(true);
    const answer = await answerJobItem(fixture.adapter, asked);
    lines.push(JSON.stringify(answer));
    expect(isAnswers({ kind: 'answers', items: [answer] }), JSON.stringify(answer).slice(0, 500)).toBe(true);
    return answer;
  };
  const tell = async (body: Unnumbered): Promise<Came> => {
    const answer = await ask(body);
    if (answer.result === 'ok' && body.op !== 'finished') expect(answer).not.toHaveProperty('events');
    events = answer.result === 'ok' ? answer.events : undefined;
    if (answer.result === 'ok') return 'ok';
    return answer.result === 'refused' && answer.code === 'RESULT_REFUSED' ? 'refused' : 'again';
  };
  const fetch = async (max: number, accepted: readonly string[]) => {
    const answer = await ask({ op: 'fetch', queue: fixture.queue, max, accepted: [...accepted] });
    const fetched = answer.result === 'jobs' ? answer : { jobs: [], more: false };
    expect(fetched.jobs.length).toBeLessThanOrEqual(max);
    return fetched;
  };
  const of = (job: NewJob): { readonly job: string; readonly state: string } => ({
    job: job.job,
    state: job.state ?? '',
  });

  return {
    fetch: async (max, accepted = []) => (await fetch(max, accepted)).jobs,
    fetchMore: async (max) => (await fetch(max, [])).more,
    async accepted() {
      const [job] = (await fetch(1, [])).jobs;
      if (job === undefined) throw new Error('the adapter hands nothing over');
      await fetch(1, [job.job]);
      return job;
    },
    started: (job, attempt) => tell({ op: 'started', ...of(job), attempt, agent: AGENT }),
    renewed: (job, attempt, progress = 0.5) => tell({ op: 'renewed', ...of(job), attempt, progress }),
    released: (job, attempt) => tell({ op: 'released', ...of(job), attempt, reason: 'the agent is gone' }),
    finished: (job, attempt) =>
      tell({ op: 'finished', ...of(job), attempt, manifest: [STORED], usage: USAGE }),
    failed: (job, outcome, reason, state) =>
      tell({
        op: 'failed',
        job: job.job,
        state: state ?? job.state ?? '',
        outcome,
        reason,
        attempts: [{ attempt: 1, reason, logTail: 'the end of the log', exit: { kind: 'exited', code: 3 } }],
      }),
    events: () => events,
    heard() {
      const since = heard;
      heard = [];
      return since;
    },
    written: () => lines.join('\n'),
  };
}
