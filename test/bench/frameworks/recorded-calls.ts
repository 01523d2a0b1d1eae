import { ClientRequest } from 'node:http';

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

/** Notes every call of this process to the two, until it is told to stop, in the order in which their requests ended. */
export function recordCalls(
  urls: Readonly<Record<CallTarget, string>>,
  onCall: (call: RecordedCall) => void = () => undefined,
): Recorder {
  const targets = new Map<unknown, CallTarget>([
    [new URL(urls.framework).host, 'framework'],
    [new URL(urls.bridge).host, 'bridge'],
  ]);
  const calls: RecordedCall[] = [];
  const written = new WeakMap<ClientRequest, Uint8Array[]>();
  let [open, most] = [0, 0];
  const { prototype } = ClientRequest;
  // Taken from the prototype and put back: called with the request as `this`, as Node does.
  // oxlint-disable-next-line typescript/unbound-method
  const { write, end } = prototype;
  const note = (request: ClientRequest, chunk: unknown): void => {
    if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return;
    written.set(request, [...(written.get(request) ?? []), Buffer.from(chunk)]);
  };
  prototype.write = function (this: ClientRequest, ...args: readonly unknown[]) {
    note(this, args[0]);
    return Reflect.apply(write, this, args) as boolean;
  };
  prototype.end = function (this: ClientRequest, ...args: readonly unknown[]) {
    note(this, args[0]);
    const to = targets.get(this.getHeader('host'));
    if (to !== undefined) {
      const call = callOf(this, to, Buffer.concat(written.get(this) ?? []));
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
      prototype.write = write;
      prototype.end = end;
    },
  };
}

function callOf(request: ClientRequest, to: CallTarget, body: Buffer): RecordedCall {
  const headers = Object.entries(request.getHeaders()).filter(([name]) => !OWN.has(name));
  return {
    to,
    method: request.method,
    path: request.path,
    headers: Object.fromEntries(headers.map(([name, value]) => [name, String(value)])),
    body: body.toString('base64'),
  };
}
