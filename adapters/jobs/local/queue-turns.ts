import { CoPilotError } from '../../../protocol/errors.ts';
import { Turns, type TurnWeights } from '../turns.ts';

/** Queues whose turns are remembered; the oldest is forgotten at the bound, and its first owner is next. */
const MAX_QUEUES = 256;

const MAX_WEIGHT = 1000;

/** Whose turn it is, by queue. Throws `INVALID_CONFIGURATION` naming the first weight that is none. */
export function createTurnsByQueue(
  weights: Readonly<Record<string, TurnWeights>> = {},
): (queue: string) => Turns {
  for (const [queue, { owners = {}, campaigns = {} }] of Object.entries(weights)) {
    checkWeights(`turns.${queue}.owners`, owners);
    checkWeights(`turns.${queue}.campaigns`, campaigns);
  }
  const turns = new Map<string, Turns>();
  return (queue) => {
    const known = turns.get(queue);
    if (known !== undefined) return known;
    const made = new Turns(Object.hasOwn(weights, queue) ? weights[queue] : {});
    const [oldest] = turns.keys();
    if (oldest !== undefined && turns.size >= MAX_QUEUES) turns.delete(oldest);
    turns.set(queue, made);
    return made;
  };
}

function checkWeights(where: string, weights: Readonly<Record<string, number>>): void {
  const wrong = Object.entries(weights).find(
    ([, weight]) => !Number.isInteger(weight) || weight < 1 || weight > MAX_WEIGHT,
  );
  if (wrong === undefined) return;
  throw new CoPilotError(
    'INVALID_CONFIGURATION',
    `${where}.${wrong[0]} is ${wrong[1]}; a weight is a whole number from 1 to ${MAX_WEIGHT}`,
  );
}
