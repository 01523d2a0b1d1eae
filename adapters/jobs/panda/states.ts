import type { JobStatus } from './panda-client.ts';

/** What the command of an update's answer is to us. */
export type Command = 'none' | 'kill' | 'done';

/**
 * `tobekilled` and `softkill` are relayed as a kill. `alreadydone` says that the final word was given. Everything else, debug commands
 * and free shell commands above all, goes nowhere.
 */
export function commandOf(text: string): Command {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.includes('tobekilled') || parts.includes('softkill')) return 'kill';
  return parts.includes('alreadydone') ? 'done' : 'none';
}

/** What became of a final update, by the state that PanDA has the job in afterwards. */
export type Told = 'told' | 'refused' | 'not-told';

/** States in which the final word of a pilot was taken, whatever the adder makes of it. */
const TAKEN = new Set(['holding', 'merging', 'transferring', 'finished']);
/** Ends that no final word changes. */
const ENDED = new Set(['failed', 'cancelled', 'closed', 'not found', 'notfound']);

/**
 * A final update is told once PanDA's own state says so: an answer may be cut, a repeat is answered `alreadydone`, one that comes after
 * the archiver `tobekilled`, and a success may be none.
 */
export function toldOf(
  wanted: 'finished' | 'failed',
  attempt: number,
  status: JobStatus,
  command: Command,
): Told {
  if (status.attempt !== attempt) return wanted === 'failed' ? 'told' : 'refused';
  if (TAKEN.has(status.status)) return 'told';
  if (ENDED.has(status.status)) return wanted === 'failed' ? 'told' : 'refused';
  // It still runs, PanDA says, and yet it will not hear of an end: another pilot has it.
  if (command !== 'none') return wanted === 'failed' ? 'told' : 'refused';
  return 'not-told';
}
