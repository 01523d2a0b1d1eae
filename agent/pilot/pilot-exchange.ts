import { CoPilotError } from '../../protocol/errors.ts';
import { parseJson } from '../../protocol/parse-json.ts';

/** A request of a pilot as its HTTP carried it. */
export interface PilotRequest {
  readonly verb: string;
  /** Path and query. */
  readonly target: string;
  readonly contentType: string;
  readonly accept: string;
  readonly body: Buffer;
}

export interface PilotReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
}

/** Most that a `call` and its answer carry, as text. */
export const MAX_CALL_BYTES = 24 * 1024;

const MAX_HEADER_LENGTH = 256;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const HEADER = /^[\x20-\x7e]*$/;

/** The body of a `call`: what the adapter needs of a request. */
export function callText(request: Pick<PilotRequest, 'contentType' | 'accept' | 'body'>): string {
  const { contentType, accept, body } = request;
  return JSON.stringify({
    contentType: contentType.slice(0, MAX_HEADER_LENGTH),
    accept: accept.slice(0, MAX_HEADER_LENGTH),
    body: body.toString('base64'),
  });
}

/** Throws `MALFORMED_MESSAGE` where the adapter's answer is no reply. */
export function replyOf(text: string): PilotReply {
  const value = parse(text);
  if (typeof value === 'object' && value !== null) {
    const { status, contentType, body }: Record<string, unknown> = { ...value };
    if (isStatus(status) && isHeader(contentType) && typeof body === 'string' && BASE64.test(body))
      return { status, contentType, body: Buffer.from(body, 'base64') };
  }
  throw new CoPilotError('MALFORMED_MESSAGE', 'the adapter answered a call with something else');
}

export function plainReply(status: number, text: string): PilotReply {
  return { status, contentType: 'text/plain', body: Buffer.from(text) };
}

function parse(text: string): unknown {
  return text.length > MAX_CALL_BYTES ? undefined : parseJson(text);
}

function isStatus(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 200 && value < 600;
}

function isHeader(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_HEADER_LENGTH && HEADER.test(value);
}
