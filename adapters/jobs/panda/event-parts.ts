import { CoPilotError } from '../../../protocol/errors.ts';
import type { OpParts, Part } from '../../../protocol/generated/types.ts';
import { jobOfRange, isRangeId } from './event-range.ts';
import type { JobState } from './job-state.ts';
import type { EventCount } from './event-count.ts';
import type { EventJob, EventRange, PandaClient } from './panda-client.ts';

/** Hands out the event ranges of jobs, one at a time, so that whoever is lost loses one. */
export interface EventParts {
  parts(
    lease: { readonly job: string; readonly attempt: number; readonly state: JobState },
    verb: OpParts['verb'],
    named: readonly string[],
  ): Promise<readonly Part[]>;
  forget(job: string): void;
}

const RANGES_AT_ONCE = 1;
const MAX_JOBS = 100_000;

interface Held {
  readonly attempt: number;
  readonly ranges: readonly EventRange[];
}

export function createEventParts(client: PandaClient, count: EventCount): EventParts {
  const held = new Map<string, Held>();
  const keep = (job: string, next: Held): void => {
    held.delete(job);
    held.set(job, next);
    const [oldest] = held.keys();
    if (held.size > MAX_JOBS && oldest !== undefined) held.delete(oldest);
  };

  /** Asked again, it is the same range: a lost answer loses none. Another attempt has none of those before it. */
  async function take(job: string, attempt: number, of: EventJob): Promise<readonly Part[]> {
    const known = held.get(job);
    if (known?.attempt === attempt && known.ranges.length > 0) return known.ranges.map(partOf);
    const ranges = await client.takeRanges(of, RANGES_AT_ONCE);
    keep(job, { attempt, ranges });
    for (const range of ranges) await count.took(job, range);
    return ranges.map(partOf);
  }

  async function finish(job: string, of: EventJob, named: readonly string[]): Promise<readonly Part[]> {
    const strange = named.find((id) => !isRangeId(id) || jobOfRange(id) !== of.id);
    if (strange !== undefined) throw new CoPilotError('NOT_FOUND', 'a part is none of this job');
    const done = named.length === 0 ? new Set<string>() : await client.finishRanges(of, named);
    await count.finished(job, done);
    const known = held.get(job);
    if (known !== undefined)
      keep(job, { ...known, ranges: known.ranges.filter(({ id }) => !named.includes(id)) });
    if (done.size < named.length)
      throw new CoPilotError('RESULT_REFUSED', 'PanDA does not take all of the parts as finished');
    return [];
  }

  return {
    parts({ job, attempt, state }, verb, named) {
      if (!state.takesEvents || state.jobset === undefined)
        throw new CoPilotError('UNSUPPORTED', 'the job has no parts');
      const of: EventJob = { id: state.id, task: state.task, jobset: state.jobset };
      return verb === 'take' ? take(job, attempt, of) : finish(job, of, named);
    },
    forget: (job) => void held.delete(job),
  };
}

function partOf({ id, body }: EventRange): Part {
  return { id, body };
}
