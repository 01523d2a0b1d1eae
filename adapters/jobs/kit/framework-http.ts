import { readFile } from 'node:fs/promises';
import { Pool } from 'undici';
import { CoPilotError } from '../../../protocol/errors.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { Credential, CredentialFiles } from './credential-files.ts';
import { exchange, type HttpAnswer, type HttpRequest, LINE_OPTIONS } from './http-exchange.ts';

export interface FrameworkRequest extends HttpRequest {
  /** Of the whole exchange; that of the options where it is left out. */
  readonly timeoutMs?: number;
}

export type FrameworkAnswer = HttpAnswer;

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

const MAX_CONNECTIONS = 16;

/** Connections made with one version of a credential. */
interface Line {
  readonly version: number;
  readonly pool: Pool;
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
    const { maxConnections: connections = MAX_CONNECTIONS } = options;
    const connect = { ...(ca !== undefined && { ca }), ...credential?.tls() };
    const pool = new Pool(base.origin, { ...LINE_OPTIONS, connections, connect });
    const opened: Line = { version: credential?.version ?? 0, pool, busy: 0, isOld: false };
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
    lines.delete(old);
    hangUp(old);
  }

  function ask(
    wanted: FrameworkRequest,
    credential: Credential | undefined,
    { pool }: Line,
  ): Promise<FrameworkAnswer> {
    const { method, path, headers, body, timeoutMs = options.timeoutMs } = wanted;
    const bearer = credential?.bearer();
    const request = {
      method,
      path: `${prefix}${path}`,
      headers: { ...(bearer !== undefined && { authorization: `Bearer ${bearer}` }), ...headers },
      ...(body !== undefined && { body }),
    };
    const bounds = { clock, timeoutMs, maxAnswerBytes: options.maxAnswerBytes };
    return exchange(pool, base.origin, request, bounds).catch((caught: unknown) => {
      throw lost(caught);
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
        const answer = await ask(wanted, credential, own);
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
      for (const line of lines) hangUp(line);
    },
  };
}

/** What is under way rejects. */
function hangUp({ pool }: Line): void {
  void pool.destroy();
}

/** The cause names hosts at most: what was sent is not in it. */
function lost(caught: unknown): CoPilotError {
  if (caught instanceof CoPilotError && caught.code === 'TIMEOUT')
    return new CoPilotError('TIMEOUT', 'the framework does not answer in time');
  if (caught instanceof CoPilotError)
    return new CoPilotError('UNREACHABLE', `the framework sends ${caught.message}`);
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
