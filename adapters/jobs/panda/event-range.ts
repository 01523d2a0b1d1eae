import { parseJson } from '../../../protocol/parse-json.ts';
import { MAX_EVENTS } from '../job-adapter.ts';
import { type Fields, isFields, isList } from './answer-reader.ts';
import type { EventRange } from './panda-client.ts';

/** As PanDA makes them: task, job, file, process, attempt. */
const RANGE_ID = /^\d{1,18}-\d{1,18}-\d{1,18}-\d{1,18}-\d{1,9}$/u;
const MAX_RANGES = 64;
const MAX_BODY = 1024;

/** The ranges of an answer; those that could not be handed on are left out. */
export function rangesOf(data: unknown): readonly EventRange[] {
  const list = typeof data === 'string' ? parseJson(data) : data;
  return (isList(list) ? list : []).slice(0, MAX_RANGES).flatMap((entry) => {
    const id = isFields(entry) ? entry['eventRangeID'] : undefined;
    const body = JSON.stringify(entry);
    if (typeof id !== 'string' || !isRangeId(id) || body.length > MAX_BODY) return [];
    return [{ id, body, events: isFields(entry) ? eventsOf(entry) : 1 }];
  });
}

/** From the first to the last; 1 where that is no number of events. */
function eventsOf({ startEvent, lastEvent }: Fields): number {
  const events = Number(lastEvent) - Number(startEvent) + 1;
  return Number.isInteger(events) && events > 0 && events <= MAX_EVENTS ? events : 1;
}

export function isRangeId(text: string): boolean {
  return RANGE_ID.test(text);
}

/** Of which job of PanDA's a range is; its id says so. */
export function jobOfRange(id: string): number {
  return Number(id.split('-')[1]);
}
