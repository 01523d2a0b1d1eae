import { ClientRequest } from 'node:http';

/** One HTTP call that an adapter made. */
export interface RecordedCall {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** In base64. */
  readonly body: string;
}

/** What the minimal client says itself. */
const OWN = new Set(['authorization', 'host', 'connection', 'content-length']);

/** Notes every call of this process to one server, until it is told to stop; answers them in their order. */
export function recordCalls(
  url: string,
  onCall: (call: RecordedCall) => void = () => undefined,
): {
  readonly calls: readonly RecordedCall[];
  /** The most that were under way together. */
  most(): number;
  stop(): void;
} {
  const { host } = new URL(url);
  const calls: RecordedCall[] = [];
  let [open, most] = [0, 0];
  const { prototype } = ClientRequest;
  // Taken from the prototype and put back: called with the request as `this`, as Node does.
  // oxlint-disable-next-line typescript/unbound-method
  const { end } = prototype;
  prototype.end = function (this: ClientRequest, ...args: readonly unknown[]) {
    if (this.getHeader('host') === host) {
      const call = callOf(this, args[0]);
      calls.push(call);
      onCall(call);
      most = Math.max(most, ++open);
      this.once('close', () => open--);
    }
    return Reflect.apply(end, this, args) as ClientRequest;
  };
  return {
    calls,
    most: () => most,
    stop() {
      prototype.end = end;
    },
  };
}

function callOf(request: ClientRequest, body: unknown): RecordedCall {
  const headers = Object.entries(request.getHeaders()).filter(([name]) => !OWN.has(name));
  const bytes = typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : Buffer.alloc(0);
  return {
    method: request.method,
    path: request.path,
    headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
    body: bytes.toString('base64'),
  };
}
