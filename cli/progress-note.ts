import { durationText } from './display/progress.ts';

const EVERY_MS = 2_000;

/**
 * Says now and then how far something long has come, how fast it goes and how long it will still take. What is over soon is
 * not spoken of.
 */
export function createProgressNote(
  note: (text: string) => void,
  nowMs: () => number,
): (what: string, done: number, total: number) => void {
  let current = '';
  let startedMs = 0;
  let toldMs = 0;
  return (what, done, total) => {
    const now = nowMs();
    if (what !== current) {
      current = what;
      startedMs = now;
      toldMs = now;
    }
    if (now - toldMs < EVERY_MS || done <= 0) return;
    toldMs = now;
    const perMs = done / (now - startedMs);
    const left = durationText(Math.max(0, total - done) / perMs);
    note(`${done} of ${total} ${what}, ${Math.round(perMs * 1000)} a second, about ${left} left`);
  };
}
