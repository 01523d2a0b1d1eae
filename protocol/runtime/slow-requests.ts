import type { ServerOptions } from 'node:http';

export interface SlowRequestOptions {
  readonly requestTimeout: number;
  readonly http: Pick<ServerOptions, 'headersTimeout' | 'connectionsCheckingInterval'>;
}

const MAX_CHECKING_MS = 5_000;

/** Options of a server that ends a request which has not wholly come after that time, head and body. */
export function endSlowRequests(timeoutMs: number): SlowRequestOptions {
  return {
    requestTimeout: timeoutMs,
    http: {
      // Node takes the longer of the two for the whole request: both have to say it.
      headersTimeout: timeoutMs,
      connectionsCheckingInterval: Math.min(timeoutMs, MAX_CHECKING_MS),
    },
  };
}
