import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJson } from '../../../protocol/parse-json.ts';
import type { Beat } from '../kit/heartbeats.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';

/** What names a job in the queue: its id, and which of the queue's tries it is. */
export interface QueueRef {
  readonly id: string;
  readonly try: number;
}

/** A job that is with us and does not run; what else is in it is checked where it becomes one of ours. */
export type QueueJob = QueueRef & Readonly<Record<string, unknown>>;

/** `over`: the queue waits for it no more. */
type Heard = QueueRef & { readonly state: 'taken' | 'running' | 'unwanted' | 'over' };

interface Ended extends QueueRef {
  readonly state: 'finished' | 'failed' | 'cancelled';
  readonly attempt: number;
  readonly answer: 'ok' | 'refused';
  /** Of the job, where the queue counts them. */
  readonly events?: unknown;
}

interface Held {
  readonly waiting: number;
  readonly held: readonly QueueJob[];
  readonly unwanted: readonly QueueRef[];
}

const MAX_LISTED = 4096;
const ref = {
  id: { type: 'string', minLength: 1, maxLength: 128 },
  try: { type: 'integer', minimum: 1 },
} as const;
const attempt = { type: 'integer', minimum: 0 } as const;
const ajv = new Ajv2020({ strict: true, strictTypes: false, allErrors: false });

function compile<T>(properties: object): ValidateFunction<T> {
  // What the queue adds later is no reason to refuse what it says.
  const schema = { type: 'object', properties, required: Object.keys(properties) };
  return ajv.compile<T>(schema);
}

const listOf = (properties: object): object => ({
  type: 'array',
  maxItems: MAX_LISTED,
  items: { type: 'object', properties, required: Object.keys(properties) },
});

/** Each answer of the queue, and what holds it. */
export const ANSWERS = {
  taken: compile<{ readonly jobs: readonly QueueJob[] }>({ jobs: listOf(ref) }),
  held: compile<Held>({ waiting: { type: 'integer', minimum: 0 }, held: listOf(ref), unwanted: listOf(ref) }),
  heard: compile<{ readonly heard: readonly Heard[] }>({
    heard: listOf({ ...ref, state: { enum: ['taken', 'running', 'unwanted', 'over'] } }),
  }),
  ended: compile<Ended>({
    ...ref,
    attempt,
    state: { enum: ['finished', 'failed', 'cancelled'] },
    answer: { enum: ['ok', 'refused'] },
  }),
} as const;

/** Asks the queue, by POST where there is a body. Rejects with `UNREACHABLE` for whatever is not a whole answer of the right form. */
export async function askQueue<T>(
  http: FrameworkHttp,
  { path, body }: { readonly path: string; readonly body?: object },
  isRight: ValidateFunction<T>,
): Promise<T> {
  const headers = { accept: 'application/json', 'content-type': 'application/json' };
  const answer = await http.send(
    body === undefined
      ? { method: 'GET', path, headers }
      : { method: 'POST', path, headers, body: JSON.stringify(body) },
  );
  if (answer.status !== 200) throw new CoPilotError('UNREACHABLE', `the queue answered ${answer.status}`);
  // A page of a proxy, or half an answer, is no JSON.
  const value = parseJson(answer.body.toString('utf8'));
  if (isRight(value)) return value;
  throw new CoPilotError('UNREACHABLE', 'the queue answered something else than its protocol says');
}

/** What the queue counts as with a worker and does not run, what it wants ended, and how many more it has. */
export function listHeld(http: FrameworkHttp, queue: string, worker: string): Promise<Held> {
  const wanted = new URLSearchParams({ queue, worker });
  return askQueue(http, { path: `/v1/held?${wanted.toString()}` }, ANSWERS.held);
}

/** What the state of a job names; undefined where the broker speaks of one that this adapter gave no state. */
export function refOf(state: string): QueueRef | undefined {
  return state === '' ? undefined : (JSON.parse(state) as QueueRef); // written by us, kept by the broker
}

/** Beats as the queue takes them; `waiting` says that the attempt is lost and the job waits with us. */
export function beatsOf(beats: readonly Beat[], waiting: boolean): readonly (QueueRef & object)[] {
  return beats.flatMap(({ state, attempt, progress }) => {
    const ref = refOf(state);
    return ref === undefined ? [] : [{ ...ref, attempt, progress, waiting }];
  });
}
