import type { Dispatcher } from 'undici';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Cancel, Clock } from '../../../protocol/runtime/runtime.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash; what is in it is encoded already. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Buffer;
}

export interface HttpBounds {
  readonly clock: Clock;
  /** Of the whole exchange, waiting for a connection included. */
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
}

/** Settings under which time runs on our clock alone, and nothing but HTTP/1.1 is spoken. */
export const LINE_OPTIONS = {
  pipelining: 1,
  allowH2: false,
  headersTimeout: 0,
  bodyTimeout: 0,
  connectTimeout: 0,
  keepAliveTimeout: 30_000,
  maxHeaderSize: 32 * 1024,
} as const;

/**
 * One request and its whole answer, whatever its status; redirects are answers. Rejects with `TIMEOUT`, with `QUOTA_EXCEEDED` for an answer
 * over its bound, and as the connection does where that fails or the answer is cut short. The server may have done what was asked all the
 * same.
 */
export function exchange(
  line: Dispatcher,
  origin: string,
  request: HttpRequest,
  { clock, timeoutMs, maxAnswerBytes }: HttpBounds,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    let head: Omit<HttpAnswer, 'body'> = { status: 0, headers: {} };
    let fault: CoPilotError | undefined;
    let controller: Dispatcher.DispatchController | undefined;
    const giveUp = (why: CoPilotError): void => {
      fault = why;
      controller?.abort(why);
      cancel();
      reject(why);
    };
    const cancel: Cancel = clock.schedule(timeoutMs, () =>
      giveUp(new CoPilotError('TIMEOUT', 'no answer in time')),
    );
    line.dispatch(
      { origin, ...request },
      {
        onRequestStart(started) {
          controller = started;
          // Given up while it waited for a connection.
          if (fault !== undefined) started.abort(fault);
        },
        onResponseStart(_controller, status, headers) {
          head = { status, headers };
        },
        onResponseData(_controller, chunk) {
          bytes += chunk.length;
          if (bytes <= maxAnswerBytes) chunks.push(chunk);
          else giveUp(new CoPilotError('QUOTA_EXCEEDED', `an answer of more than ${maxAnswerBytes} bytes`));
        },
        onResponseEnd() {
          cancel();
          resolve({ ...head, body: Buffer.concat(chunks, bytes) });
        },
        onResponseError(_controller, error) {
          cancel();
          reject(error);
        },
      },
    );
  });
}
