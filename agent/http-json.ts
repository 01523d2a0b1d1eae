import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';
import { textOf } from '../protocol/encoding.ts';
import { MAX_ENROLMENT_BYTES } from '../protocol/enrolment.ts';
import { readBounded } from '../protocol/runtime/bounded-body.ts';

/** An HTTP answer with its body as JSON, unvalidated. */
export interface JsonAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** Posts JSON. Rejects with `UNREACHABLE` where nobody answers in time, or not with a small piece of JSON. */
export type PostJson = (url: string, body: object, signal: AbortSignal) => Promise<JsonAnswer>;

const ANSWER_WITHIN_MS = 15_000;
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Throws `NOT_AUTHORIZED` where a secret would travel in the clear: plain HTTP is for this machine only. */
export function checkConfidential(text: string): void {
  const url = URL.parse(text);
  if (url === null || url.username !== '' || url.password !== '')
    throw new CoPilotError('NOT_AUTHORIZED', 'the enrolment address is no plain URL');
  if (url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.has(url.hostname))) return;
  throw new CoPilotError(
    'NOT_AUTHORIZED',
    `${url.protocol}//${url.host} would show the enrolment to everybody on the way; it must be https`,
  );
}

export const postJson: PostJson = async (url, body, signal) => {
  checkConfidential(url);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: JSON.stringify(body),
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]),
    });
    return { status: response.status, body: await readJson(response) };
  } catch (cause) {
    if (cause instanceof CoPilotError) throw cause;
    const { host } = new URL(url);
    throw new CoPilotError('UNREACHABLE', `${host} did not answer as an enrolment does: ${reasonOf(cause)}`, {
      cause,
    });
  }
};

async function readJson(response: Response): Promise<unknown> {
  const bytes = await readBounded(response, MAX_ENROLMENT_BYTES);
  if (bytes === undefined) throw new CoPilotError('UNREACHABLE', 'the enrolment answered too much');
  const value: unknown = JSON.parse(textOf(bytes));
  return value;
}

/** `fetch failed` says nothing; its cause does. */
function reasonOf(caught: unknown): string {
  const inner = caught instanceof Error && caught.cause !== undefined ? caught.cause : caught;
  return toCoPilotError(inner).message.slice(0, 200);
}
