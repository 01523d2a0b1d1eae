import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Paced } from '../../adapters/jobs/local/campaign-routes.ts';
import type { QueueSummary } from '../../adapters/jobs/local/queued-job.ts';
import type { QueueConfiguration } from '../../broker/service/configuration.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { EXIT, show } from '../command-line.ts';
import { askBroker, connect } from '../connection.ts';
import { ageText, rateText } from '../display/pace.ts';
import { type Listing, showListing } from '../listing.ts';
import { queueChanges } from '../watch.ts';
import {
  action,
  type CommonOptions,
  type ListOptions,
  outputOf,
  watchUntilInterrupted,
  withCommon,
  withList,
} from './common.ts';

/** What the broker holds a queue's leases to. */
interface Terms {
  readonly leaseSeconds: number;
  readonly firstRenewSeconds: number;
  readonly maxLost: number;
  readonly prefetch: number;
}

/** A queue as both sides see it. */
interface QueueView extends Paced<QueueSummary> {
  /** Null where the broker does not answer, or serves no such queue. */
  readonly terms: Terms | null;
}

const NO_JOBS: QueueSummary['states'] = {
  pending: 0,
  handed: 0,
  accepted: 0,
  running: 0,
  finished: 0,
  failed: 0,
  cancelled: 0,
};

/** `co-pilot queue …`: the streams of jobs, and the terms of their leases. */
export function addQueueCommands(program: Command): void {
  const queue = program.command('queue').description('see the queues that jobs wait in');
  withList(queue.command('list')).description('list queues with their counts and pace').action(action(list));
  withCommon(queue.command('show').argument('<queue>'))
    .description('one queue, with the terms of its leases')
    .action(action(showQueue));
}

async function list(options: ListOptions): Promise<number> {
  const output = outputOf(options);
  const directory = resolve(options.data);
  const look = async (): Promise<Listing<QueueView>> => listing(await allQueues(directory));
  if (options.watch !== true) {
    showListing(output, await look());
    return EXIT.ok;
  }
  const { queue } = await connect(directory);
  return watchUntilInterrupted(output, {
    look,
    changes: (until) => queueChanges(queue, undefined, until),
  });
}

async function showQueue(name: string, options: CommonOptions): Promise<number> {
  const view = (await allQueues(resolve(options.data))).find(({ queue }) => queue === name);
  if (view === undefined)
    throw new CoPilotError(
      'NOT_FOUND',
      `there is no queue ${name}; \`co-pilot queue list\` shows those there are`,
    );
  show(outputOf(options), view, () => queueLines(view));
  return EXIT.ok;
}

/** Those that have jobs and those that the broker serves, by name. */
async function allQueues(directory: string): Promise<readonly QueueView[]> {
  const { queue } = await connect(directory);
  const { queues } = await queue.queues();
  const terms = await termsByQueue(directory);
  const views = new Map<string, QueueView>(
    [...terms].map(([name, known]) => [
      name,
      { queue: name, states: NO_JOBS, oldestWaitingMs: null, finishedPerMinute: null, terms: known },
    ]),
  );
  for (const one of queues) views.set(one.queue, { ...one, terms: terms.get(one.queue) ?? null });
  return [...views.values()].sort((one, other) => (one.queue < other.queue ? -1 : 1));
}

/** Empty where the broker does not answer: what waits can be seen without it. */
async function termsByQueue(directory: string): Promise<ReadonlyMap<string, Terms>> {
  const served = await askBroker<{ readonly queues: readonly QueueConfiguration[] }>(
    directory,
    'GET',
    '/v1/queues',
  ).catch((caught: unknown) => {
    if (caught instanceof CoPilotError && caught.code === 'UNREACHABLE') return { queues: [] };
    throw caught;
  });
  return new Map(
    served.queues.map(({ name, leaseMs, firstRenewMs, maxLost, prefetch }) => [
      name,
      { leaseSeconds: leaseMs / 1000, firstRenewSeconds: firstRenewMs / 1000, maxLost, prefetch },
    ]),
  );
}

function listing(items: readonly QueueView[]): Listing<QueueView> {
  return {
    name: 'queues',
    items,
    header: [
      ...['QUEUE', 'PENDING', 'HANDED', 'ACCEPTED', 'RUNNING', 'FINISHED', 'FAILED'],
      ...['OLDEST', 'RATE', 'LEASE'],
    ],
    row: (view) => {
      const { queue, states } = view;
      const { pending, handed, accepted, running, finished, failed } = states;
      return [
        queue,
        ...[pending, handed, accepted, running, finished, failed].map(String),
        ...[oldestText(view), rateOf(view), view.terms === null ? '' : ageText(view.terms.leaseSeconds)],
      ];
    },
    key: ({ queue }) => queue,
  };
}

function queueLines(view: QueueView): readonly string[] {
  const { queue, states, terms } = view;
  return [
    `queue     ${queue}`,
    `waiting   ${states.pending} here, ${states.handed} handed over, ${states.accepted} at the broker`,
    `oldest    ${oldestText(view) || 'none waits'}`,
    `running   ${states.running}`,
    `ended     ${states.finished} finished, ${states.failed} failed, ${states.cancelled} cancelled`,
    `pace      ${rateOf(view) || 'not known yet'}`,
    terms === null
      ? 'lease     not known: the broker does not answer, or serves no such queue'
      : `lease     ${terms.leaseSeconds} s, first renewal within ${terms.firstRenewSeconds} s; lost ${terms.maxLost} times it fails`,
  ];
}

function oldestText({ oldestWaitingMs }: QueueView): string {
  return oldestWaitingMs === null ? '' : ageText((Date.now() - oldestWaitingMs) / 1000);
}

function rateOf({ finishedPerMinute }: QueueView): string {
  return finishedPerMinute === null ? '' : `${rateText(finishedPerMinute)}/min`;
}
