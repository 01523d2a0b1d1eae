import type { AnswerAsk } from '../../../adapters/adapter-program.ts';
import { askBroker } from '../../../cli/connection.ts';
import { type ControlClient, createControlClient } from '../../../cli/control-client.ts';
import { explainJob } from '../../../cli/commands/why.ts';
import { controlSocket } from '../../../cli/installation.ts';
import type { Cause } from '../../../cli/why/causes.ts';
import type { Explanation } from '../../../cli/why/explain.ts';
import type { Description } from '../../../protocol/generated/types.ts';
import type { AskItem } from '../../../protocol/session/trusted-link.ts';
import { eventually } from '../../doubles/eventually.ts';
import type { LiveAgent } from '../../doubles/live-agent.ts';
import { type LiveBroker, type LiveBrokerOptions, openLiveBroker } from '../../doubles/live-broker.ts';

/** What an adapter answers in place of its own answer; undefined for its own. */
export type Fault = (
  item: AskItem,
) => { readonly code: string; readonly message: string } | 'silent' | undefined;

/** Broker, bridge and local queue as their programs run them, and faults that their adapters may have. */
export interface WhyWorld {
  readonly live: LiveBroker;
  readonly queue: ControlClient;
  readonly faults: { storage: Fault; jobs: Fault };
  submit(description?: Partial<Description>, job?: { retries?: number; queue?: string }): Promise<string>;
  /** Waits until `job why` names the cause. */
  names(job: string, cause: Cause): Promise<Explanation>;
  /** An agent that has asked for work on a machine of its own, and waits. */
  asking(ad?: Readonly<Record<string, string | number | boolean>>): Promise<LiveAgent>;
  revoke(agent: LiveAgent): Promise<void>;
  /** Agents go, jobs are cancelled, faults are mended. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

const NO_FAULT: Fault = () => undefined;
const NAMED_MS = 15_000;
const ENDS: ReadonlySet<string> = new Set(['finished', 'failed', 'cancelled']);
let serial = 0;

export async function openWhyWorld(
  options: Pick<LiveBrokerOptions, 'limits' | 'queue'> = {},
): Promise<WhyWorld> {
  const faults = { storage: NO_FAULT, jobs: NO_FAULT };
  const held: (() => void)[] = [];
  const around =
    (side: 'storage' | 'jobs') =>
    (answer: AnswerAsk): AnswerAsk =>
    (item) => {
      const fault = faults[side](item);
      if (fault === 'silent')
        return new Promise((resolve) => held.push(() => void answer(item).then(resolve)));
      return fault === undefined ? answer(item) : Promise.resolve({ result: 'refused', ...fault });
    };
  const live = await openLiveBroker({
    ...options,
    aroundStorage: around('storage'),
    withLocalQueue: { around: around('jobs') },
  });
  const queue = createControlClient({ socketPath: controlSocket(live.directory, 'local') });

  /** Here, or at the broker: a result that is refused for a fault of the adapter never ends here. */
  async function hasEnded(job: string): Promise<true | undefined> {
    if (ENDS.has((await queue.show(job)).state)) return true;
    return (await live.job(job)).job.state === 'refused-by-framework' ? true : undefined;
  }

  return {
    live,
    queue,
    faults,
    async submit(description = {}, { retries = 0, queue: name = 'main' } = {}) {
      const whole: Description = {
        command: 'generate',
        arguments: [],
        environment: {},
        inputs: [],
        outputs: [{ name: 'events.dat' }],
        limits: { wallSeconds: 60, memoryMiB: 64, diskMiB: 1 },
        requirements: '',
        ...description,
      };
      const job = { label: 'one', priority: 0, retries, description: whole };
      const submission = { key: `why-${++serial}`, queue: name, campaign: 'why', owner: 'ann', jobs: [job] };
      const [id] = (await queue.submit(submission)).jobs;
      if (id === undefined) throw new Error('no job was made');
      return id;
    },
    names: (job, cause) =>
      eventually(
        `the cause ${cause}`,
        async () => {
          const said = await explainJob(live.directory, job);
          if (said.cause !== cause) throw new Error(`${said.cause}: ${said.sentence}`);
          return said;
        },
        NAMED_MS,
      ),
    async asking(ad = { OpSys: 'LINUX', Cpus: 1, MemoryMiB: 2000 }) {
      const agent = await live.agent();
      agent.raw.say({ kind: 'request', slot: 1, counter: agent.count(), ad, seen: [] });
      return agent;
    },
    async revoke(agent) {
      await askBroker(live.directory, 'POST', `/v1/agents/${agent.id}/revoke`, {});
    },
    async clear() {
      Object.assign(faults, { storage: NO_FAULT, jobs: NO_FAULT });
      for (const release of held.splice(0)) release();
      const { jobs } = await queue.list({ limit: 1000 });
      const open = jobs.filter(({ state }) => !ENDS.has(state));
      for (const { job } of open) await queue.cancel(job);
      await live.clear();
      for (const { job, queue: name } of open)
        if (name === 'main') await eventually('the job to have ended', () => hasEnded(job), NAMED_MS);
    },
    close: () => live.close(),
  };
}
