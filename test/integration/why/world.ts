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
let serial = 0;

export async function openWhyWorld(
  options: Pick<LiveBrokerOptions, 'limits' | 'queue'> = {},
): Promise<WhyWorld> {
  const faults = { storage: NO_FAULT, jobs: NO_FAULT };
  const around =
    (side: 'storage' | 'jobs') =>
    (answer: AnswerAsk): AnswerAsk =>
    (item) => {
      const fault = faults[side](item);
      if (fault === 'silent') return new Promise(() => undefined);
      return fault === undefined ? answer(item) : Promise.resolve({ result: 'refused', ...fault });
    };
  const live = await openLiveBroker({
    ...options,
    aroundStorage: around('storage'),
    withLocalQueue: { around: around('jobs') },
  });
  const queue = createControlClient({ socketPath: controlSocket(live.directory, 'local') });

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
      const { jobs } = await queue.list({ limit: 1000 });
      const open = jobs.filter(({ state }) => !['finished', 'failed', 'cancelled'].includes(state));
      for (const { job } of open) await queue.cancel(job);
      await live.clear();
      await eventually(
        'every job to have ended',
        async () => {
          const left = (await queue.list({ limit: 1000 })).jobs.filter(
            ({ state, queue: name }) =>
              name === 'main' && !['finished', 'failed', 'cancelled'].includes(state),
          );
          return left.length === 0 ? true : undefined;
        },
        NAMED_MS,
      );
    },
    close: () => live.close(),
  };
}
