import { MAX_EVENTS } from '../job-adapter.ts';
import type { JobNotes } from './job-notes.ts';
import type { EventRange } from './panda-client.ts';

/** Of how many events jobs were; the same answer after a restart. */
export interface EventCount {
  took(job: string, range: EventRange): Promise<void>;
  /** PanDA has these ranges as finished. */
  finished(job: string, ranges: Iterable<string>): Promise<void>;
  /** The pilot of an attempt says so in its last word. */
  said(job: string, attempt: number, events: number): Promise<void>;
  /** Of the ranges that were finished, by whichever attempt; where there are none, what the pilot of this attempt said. */
  of(job: string, attempt: number): Promise<number | undefined>;
}

const NOTE = /^(size|done|pilot) ([-0-9]{1,100})(?: ([0-9]{1,10}))?$/u;

export function createEventCount(notes: JobNotes): EventCount {
  return {
    async took(job, { id, events }) {
      // Of one event is what a range is of which nothing is noted.
      if (events !== 1) await notes.add(job, `size ${id} ${events}`);
    },
    async finished(job, ranges) {
      for (const id of ranges) await notes.add(job, `done ${id}`);
    },
    said: (job, attempt, events) => notes.add(job, `pilot ${attempt} ${events}`),
    async of(job, attempt) {
      const found = notesIn(await notes.of(job));
      const events = rangesIn(found) ?? pilotIn(found, attempt);
      return events === undefined ? undefined : Math.min(events, MAX_EVENTS);
    },
  };
}

interface Note {
  readonly what: string;
  /** Of a range its id, of a pilot its attempt. */
  readonly name: string;
  readonly events: number;
}

function notesIn(lines: readonly string[]): readonly Note[] {
  return lines.flatMap((line) => {
    const [whole, what = '', name = '', events = '0'] = NOTE.exec(line) ?? [];
    return whole === undefined ? [] : [{ what, name, events: Number(events) }];
  });
}

function rangesIn(notes: readonly Note[]): number | undefined {
  const sizes = new Map(
    notes.flatMap(({ what, name, events }) => (what === 'size' ? [[name, events] as const] : [])),
  );
  const done = new Set(notes.flatMap(({ what, name }) => (what === 'done' ? [name] : [])));
  return done.size === 0 ? undefined : [...done].reduce((sum, id) => sum + (sizes.get(id) ?? 1), 0);
}

/** Its last word counts. */
function pilotIn(notes: readonly Note[], attempt: number): number | undefined {
  return notes.findLast(({ what, name }) => what === 'pilot' && Number(name) === attempt)?.events;
}
