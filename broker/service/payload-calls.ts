import { CoPilotError, type ErrorCode } from '../../protocol/errors.ts';
import type * as types from '../../protocol/generated/types.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import type { Caller } from './agent-sessions.ts';
import { withState } from './adapter-state.ts';
import type { Desk } from './desk.ts';
import { liveAttempt } from './live-attempt.ts';
import { unexpectedAnswer } from './unexpected-answer.ts';

/** What an adapter may refuse a payload with; of any other trouble the agent hears that it may ask again. */
const PASSED_ON: readonly ErrorCode[] = [
  'UNSUPPORTED',
  'NOT_AUTHORIZED',
  'NOT_FOUND',
  'MALFORMED_MESSAGE',
  'FRAME_TOO_LARGE',
  'ATTEMPT_NOT_LIVE',
];

/** What the payload of a live attempt asks of its framework: the job's adapter alone decides what of it is allowed (M-22). */
export async function onCall(desk: Desk, caller: Caller, message: types.Call): Promise<void> {
  const { slot, counter, job, attempt, method, body } = message;
  const answer = await askFor(desk, caller, message, { op: 'call', job, attempt, method, body });
  if (answer === undefined) return;
  if (answer.result !== 'called') throw refusalOf(answer);
  caller.send({ kind: 'called', slot, counter, job, attempt, body: answer.body });
}

/** Sub-units of a job that has some, under the fence of its attempt (M-24). */
export async function onParts(desk: Desk, caller: Caller, message: types.Parts): Promise<void> {
  const { slot, counter, job, attempt, verb, parts } = message;
  const answer = await askFor(desk, caller, message, { op: 'parts', job, attempt, verb, parts });
  if (answer === undefined) return;
  if (answer.result !== 'parts') throw refusalOf(answer);
  caller.send({ kind: 'parted', slot, counter, job, attempt, parts: answer.parts });
}

async function askFor(
  desk: Desk,
  caller: Caller,
  message: types.Call | types.Parts,
  body: Extract<AskBody, { op: 'call' | 'parts' }>,
): Promise<AnswerBody | undefined> {
  const stored = await liveAttempt(desk, caller, message);
  if (stored === undefined) return undefined;
  const queue = desk.queues.get(stored.job.queue);
  if (queue === undefined) throw new CoPilotError('NOT_FOUND', 'the queue of this job is not configured');
  return desk.ask(queue.jobAdapter, withState(stored.job, body));
}

function refusalOf(answer: AnswerBody): Error {
  const code = PASSED_ON.find((one) => answer.result === 'refused' && one === answer.code);
  return code === undefined || answer.result !== 'refused'
    ? unexpectedAnswer(answer)
    : new CoPilotError(code, answer.message);
}
