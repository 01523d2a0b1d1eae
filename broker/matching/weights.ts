import { CoPilotError } from '../../protocol/errors.ts';
import { isWeight, MAX_WEIGHT } from './share.ts';

/** How much of the leases a queue, and the owners and campaigns in it, get: 1 each unless they are named. */
export interface QueueShares {
  /** Of this queue among the queues. */
  readonly weight?: number;
  readonly owners?: Readonly<Record<string, number>>;
  readonly campaigns?: Readonly<Record<string, number>>;
}

/** The weights of a broker's queues. */
export interface Weights {
  queue(queue: string): number;
  owner(queue: string, owner: string): number;
  campaign(queue: string, campaign: string): number;
}

interface SharedQueue {
  readonly name: string;
  readonly share?: QueueShares;
}

/** Throws `INVALID_CONFIGURATION` naming the first weight that is none. */
export function createWeights(queues: readonly SharedQueue[]): Weights {
  for (const queue of queues) checkShares(queue);
  const shares = new Map(queues.map(({ name, share = {} }) => [name, share]));
  const named = (weights: Readonly<Record<string, number>> | undefined, name: string): number =>
    weights !== undefined && Object.hasOwn(weights, name) ? (weights[name] ?? 1) : 1;
  return {
    queue: (queue) => shares.get(queue)?.weight ?? 1,
    owner: (queue, owner) => named(shares.get(queue)?.owners, owner),
    campaign: (queue, campaign) => named(shares.get(queue)?.campaigns, campaign),
  };
}

function checkShares({ name, share }: SharedQueue): void {
  if (share === undefined) return;
  const all = [
    ['weight', share.weight ?? 1] as const,
    ...Object.entries(share.owners ?? {}).map(([owner, weight]) => [`owners.${owner}`, weight] as const),
    ...Object.entries(share.campaigns ?? {}).map(([one, weight]) => [`campaigns.${one}`, weight] as const),
  ];
  const wrong = all.find(([, weight]) => !isWeight(weight));
  if (wrong === undefined) return;
  throw new CoPilotError(
    'INVALID_CONFIGURATION',
    `share.${wrong[0]} of queue ${name} is ${wrong[1]}; a weight is a whole number from 1 to ${MAX_WEIGHT}`,
  );
}
