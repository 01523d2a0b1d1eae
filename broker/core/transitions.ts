import type { Command } from './command.ts';
import type { JobState } from './state.ts';

/** One way a job's row may change. `from` is `none` where there was no row. */
export interface Transition {
  readonly from: JobState | 'none';
  readonly event: Command['kind'];
  /** What decides between rows of the same `from` and `event`; empty where nothing does. */
  readonly when: string;
  readonly to: JobState;
}

const ENDS_ATTEMPT = [
  ['report', 'the payload failed, or storage has said that it does not hold what is reported'],
  ['release', 'its holder gives it back'],
  ['expire', 'the deadline is past'],
  ['hello', 'the agent went back to an earlier start'],
  ['revoke', 'its holder is revoked'],
] as const;

const AFTER_END = [
  'queued',
  'leased',
  'reported',
  'committing',
  'committed',
  'told',
  'refused-by-framework',
  'failed',
  'cancelled',
] as const;

/**
 * Every change of a job's row, and no other: docs/lease-machine.md shows this table, and `decide` is tested against it.
 * `waiting` is entered by nothing until replicas are built.
 */
export const TRANSITIONS: readonly Transition[] = [
  row('none', 'accept', '', 'queued'),
  row('queued', 'lease', '', 'leased'),
  row('queued', 'cancel', '', 'cancelled'),
  row('leased', 'renew', 'in time, by its holder', 'leased'),
  row('leased', 'grace', 'the broker was out', 'leased'),
  row('leased', 'report', 'in time, by its holder, exit 0', 'reported'),
  row('leased', 'report', 'the same, and storage has said that it holds what is reported', 'committing'),
  ...ENDS_ATTEMPT.flatMap(([event, when]) => [
    row('leased', event, when, 'queued'),
    row('leased', event, `${when}, and tries are used up`, 'failed'),
  ]),
  row('leased', 'cancel', '', 'cancelled'),
  row('reported', 'verified', 'storage holds what was reported', 'committing'),
  row('reported', 'verified', 'it does not', 'queued'),
  row('reported', 'verified', 'it does not, and tries are used up', 'failed'),
  row('reported', 'cancel', '', 'cancelled'),
  row('waiting', 'cancel', '', 'cancelled'),
  row('committing', 'finalised', '', 'committed'),
  row('committing', 'abort', '', 'committing'),
  row('committing', 'cancel', 'the commit is being aborted', 'committing'),
  row('committing', 'discarded', 'the committing attempt', 'queued'),
  row('committing', 'discarded', 'the committing attempt, and tries are used up', 'failed'),
  row('committing', 'discarded', 'the committing attempt, and cancel was asked', 'cancelled'),
  row('committed', 'told', 'the framework took it', 'told'),
  row('committed', 'told', 'the framework refused it', 'refused-by-framework'),
  row('failed', 'told', '', 'failed'),
  row('cancelled', 'told', '', 'cancelled'),
  ...AFTER_END.map((state) => row(state, 'discarded', 'a void attempt', state)),
];

/** Whether the table has a row for this change. */
export function isTransition(from: Transition['from'], event: Transition['event'], to: JobState): boolean {
  return TRANSITIONS.some((entry) => entry.from === from && entry.event === event && entry.to === to);
}

function row(from: Transition['from'], event: Transition['event'], when: string, to: JobState): Transition {
  return { from, event, when, to };
}
