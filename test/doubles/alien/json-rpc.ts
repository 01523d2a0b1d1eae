/** JSON-RPC 1.1 as Perl's `JSON::RPC::Legacy` speaks it; 2.0 is answered in kind. */
export interface RpcCall {
  readonly method: string;
  readonly params: readonly unknown[];
  /** Stands around the result. */
  readonly envelope: Readonly<Record<string, unknown>>;
}

export function readCall(body: string): RpcCall | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { method, params = [], id, version, jsonrpc } = value as Record<string, unknown>;
  if (typeof method !== 'string' || !Array.isArray(params)) return undefined;
  // Who puts all parameters into one array more is understood, as the services do.
  const [first] = params as readonly unknown[];
  return {
    method: method.split(/[/.]/).at(-1) ?? '',
    params: params.length === 1 && Array.isArray(first) ? first : params,
    envelope: {
      ...(jsonrpc === undefined ? { version: version ?? '1.1' } : { jsonrpc }),
      ...(id === undefined ? {} : { id }),
    },
  };
}

export function resultOf(call: RpcCall, result: unknown): string {
  return JSON.stringify({ ...call.envelope, result });
}

export function errorOf(call: RpcCall | undefined, message: string): string {
  return JSON.stringify({
    ...(call?.envelope ?? { version: '1.1' }),
    error: { name: 'JSONRPCError', code: call === undefined ? 100 : 102, message },
  });
}
