import { subscribe, unsubscribe } from 'node:diagnostics_channel';

/** Whom an adapter speaks to. */
export type CallTarget = 'framework' | 'bridge';

/** One HTTP call that an adapter made. */
export interface RecordedCall {
  readonly to: CallTarget;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** In base64. */
  readonly body: string;
}

export interface Recorder {
  readonly calls: readonly RecordedCall[];
  /** The most that were under way together. */
  most(): number;
  stop(): void;
}

/** What the minimal client says itself. */
const OWN = new Set(['authorization', 'host', 'connection', 'content-length', 'transfer-encoding']);

/** Notes every call of this process to the two, until it is told to stop, in their order. */
export function recordCalls(
  urls: Readonly<Record<CallTarget, string>>,
  onCall: (call: RecordedCall) => void = () => undefined,
): Recorder {
  const targets = new Map<string, CallTarget>([
    [new URL(urls.framework).origin, 'framework'],
    [new URL(urls.bridge).origin, 'bridge'],
  ]);
  const calls: RecordedCall[] = [];
  const open = new WeakSet<object>();
  let [under, most] = [0, 0];
  const begin = (message: unknown): void => {
    const { request } = message as Created;
    const to = targets.get(String(request.origin));
    if (to === undefined) return;
    const call = callOf(request, to);
    calls.push(call);
    onCall(call);
    open.add(request);
    most = Math.max(most, ++under);
  };
  const end = (message: unknown): void => {
    if (open.delete((message as Created).request)) under--;
  };
  const ends = ['undici:request:trailers', 'undici:request:error'];
  subscribe('undici:request:create', begin);
  for (const name of ends) subscribe(name, end);
  return {
    calls,
    most: () => most,
    stop() {
      unsubscribe('undici:request:create', begin);
      for (const name of ends) unsubscribe(name, end);
    },
  };
}

/** As undici's channels tell of a request. */
interface Created {
  readonly request: {
    readonly origin: string | URL;
    readonly method: string;
    readonly path: string;
    /** Names and values in turn. */
    readonly headers: readonly string[];
    readonly body: string | Uint8Array | null | undefined;
  };
}

function callOf({ method, path, headers, body }: Created['request'], to: CallTarget): RecordedCall {
  const pairs = Array.from({ length: headers.length / 2 }, (_, at): [string, string] => [
    (headers[2 * at] ?? '').toLowerCase(),
    headers[2 * at + 1] ?? '',
  ]);
  return {
    to,
    method,
    path,
    headers: Object.fromEntries(pairs.filter(([name]) => !OWN.has(name))),
    body: Buffer.from(body ?? '').toString('base64'),
  };
}
