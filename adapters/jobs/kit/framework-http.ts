import { readFile } from 'node:fs/promises';
import {
  Agent as PlainAgent,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request as plainRequest,
} from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { CoPilotError } from '../../../protocol/errors.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { Credential, CredentialFiles } from './credential-files.ts';
import { readBody } from './read-body.ts';

export interface FrameworkRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash; what is in it is encoded already. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Of the whole exchange; that of the options where it is left out. */
  readonly timeoutMs?: number;
}

export interface FrameworkAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One call that ended, for metrics. */
export interface FrameworkCall {
  readonly method: string;
  /** 0 where there was no whole answer. */
  readonly status: number;
  readonly ms: number;
}

/** HTTP to one server of a framework, with the credential of the moment. */
export interface FrameworkHttp {
  /**
   * Resolves with any whole answer, whatever its status; redirects are answers. Rejects with `TIMEOUT` where there is none in time and
   * with `UNREACHABLE` where the connection fails, the answer is cut short or over its bound. The server may have done what was asked
   * all the same.
   */
  send(request: FrameworkRequest): Promise<FrameworkAnswer>;
  /** What is under way rejects, and so does whatever is sent afterwards. */
  stop(): void;
}

export interface FrameworkHttpOptions {
  /** Such as `https://panda.example.org:25443`; a path at its end goes before every request's. */
  readonly url: string;
  readonly credential?: CredentialFiles;
  /** In PEM, whom to believe instead of the authorities that Node knows. */
  readonly caFile?: string;
  readonly timeoutMs: number;
  readonly maxAnswerBytes: number;
  /** Connections at once. */
  readonly maxConnections?: number;
  readonly clock?: Clock;
  readonly onCall?: (call: FrameworkCall) => void;
}

const MAX_HEADER_BYTES = 32 * 1024;
const MAX_CONNECTIONS = 16;
const IDLE_MS = 30_000;

/** Connections made with one version of a credential. */
interface Line {
  readonly version: number;
  readonly agent: PlainAgent;
  readonly isTls: boolean;
  busy: number;
  isOld: boolean;
}

/** Rejects with `INVALID_CONFIGURATION` where the file of authorities cannot be read. */
export async function createFrameworkHttp(options: FrameworkHttpOptions): Promise<FrameworkHttp> {
  const { clock = nodeClock, onCall = () => undefined } = options;
  const base = new URL(options.url);
  const prefix = base.pathname.replace(/\/+$/, '');
  const ca = options.caFile === undefined ? undefined : await readAuthorities(options.caFile);
  const lines = new Set<Line>();
  let isStopped = false;
  let line = openLine(options.credential?.current());

  function openLine(credential: Credential | undefined): Line {
    const version = credential?.version ?? 0;
    const { maxConnections = MAX_CONNECTIONS } = options;
    const common = { keepAlive: true, maxSockets: maxConnections, timeout: IDLE_MS };
    const isTls = base.protocol === 'https:';
    const agent = isTls
      ? new TlsAgent({ ...common, ...(ca !== undefined && { ca }), ...credential?.tls() })
      : new PlainAgent(common);
    const opened: Line = { version, agent, isTls, busy: 0, isOld: false };
    lines.add(opened);
    return opened;
  }

  /** A renewed credential is sent on new connections; what is under way on old ones ends there. */
  function lineOf(credential: Credential | undefined): Line {
    if (credential === undefined || credential.version === line.version) return line;
    const old = line;
    line = openLine(credential);
    retire(old);
    return line;
  }

  function retire(old: Line): void {
    old.isOld = true;
    if (old.busy > 0) return;
    old.agent.destroy();
    lines.delete(old);
  }

  function exchange(
    wanted: FrameworkRequest,
    credential: Credential | undefined,
    { agent, isTls }: Line,
  ): Promise<FrameworkAnswer> {
    const bearer = credential?.bearer();
    const body = wanted.body === undefined ? undefined : Buffer.from(wanted.body);
    return new Promise((resolve, reject) => {
      const call = (isTls ? tlsRequest : plainRequest)({
        agent,
        protocol: base.protocol,
        hostname: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port,
        path: `${prefix}${wanted.path}`,
        method: wanted.method,
        maxHeaderSize: MAX_HEADER_BYTES,
        headers: {
          ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }),
          ...(body !== undefined && { 'content-length': String(body.length) }),
          ...wanted.headers,
        },
      });
      const cancel = clock.schedule(wanted.timeoutMs ?? options.timeoutMs, () =>
        call.destroy(new CoPilotError('TIMEOUT', 'the framework does not answer in time')),
      );
      call.once('close', cancel);
      call.once('error', (error) => reject(lost(error)));
      call.once('response', (answer) => {
        wholeOf(answer, options.maxAnswerBytes).then(resolve, (caught: unknown) => {
          call.destroy();
          reject(lost(caught));
        });
      });
      call.end(body);
    });
  }

  return {
    async send(wanted) {
      if (isStopped) throw new CoPilotError('UNREACHABLE', 'the adapter has stopped');
      const credential = options.credential?.current();
      const fromMs = clock.monotonicMs();
      const own = lineOf(credential);
      own.busy++;
      let status = 0;
      try {
        const answer = await exchange(wanted, credential, own);
        ({ status } = answer);
        return answer;
      } finally {
        own.busy--;
        if (own.isOld) retire(own);
        onCall({ method: wanted.method, status, ms: clock.monotonicMs() - fromMs });
      }
    },
    stop() {
      isStopped = true;
      for (const { agent } of lines) agent.destroy();
    },
  };
}

async function wholeOf(answer: IncomingMessage, maxBytes: number): Promise<FrameworkAnswer> {
  const body = await readBody(
    answer,
    maxBytes,
    () => new CoPilotError('UNREACHABLE', `the framework answers more than ${maxBytes} bytes`),
  );
  return { status: answer.statusCode ?? 0, headers: answer.headers, body };
}

/** The cause names hosts at most: what was sent is not in it. */
function lost(caught: unknown): CoPilotError {
  if (caught instanceof CoPilotError) return caught;
  const why = caught instanceof Error && 'code' in caught ? ` (${String(caught.code)})` : '';
  return new CoPilotError(
    'UNREACHABLE',
    `the framework cannot be reached, or its answer was cut short${why}`,
    {
      cause: caught,
    },
  );
}

async function readAuthorities(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new CoPilotError('INVALID_CONFIGURATION', `${path} cannot be read`, { cause });
  }
}
