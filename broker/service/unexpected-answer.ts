import type { AnswerBody } from '../../protocol/session/trusted-link.ts';

/** An adapter's answer that is none to what it was asked; its code stays first in the message. */
export function unexpectedAnswer(answer: AnswerBody): Error {
  const detail = answer.result === 'refused' ? `${answer.code}: ${answer.message}` : answer.result;
  return new Error(`the adapter answered ${detail}`);
}
