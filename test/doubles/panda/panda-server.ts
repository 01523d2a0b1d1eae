import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { answerV1, type HttpAnswer, textAnswer } from './answers.ts';
import { answerOfLegacy } from './api-legacy.ts';
import { answerOfV1, Uncaught } from './api-v1.ts';
import {
  type Caller,
  callerOfCertificate,
  callerOfToken,
  type CallerSettings,
  TokenRefused,
  type TokenWish,
} from './callers.ts';
import { NO_FAULTS, type PandaFaults } from './faults.ts';
import type { WantedJob } from './job-spec.ts';
import { DEFAULT_TABLE, type JobTable, type PandaJob, type TableSettings } from './job-table.ts';
import { parsePython, plain, pythonText, type PythonValue } from './python-values.ts';
import { PandaServerState } from './server-state.ts';

export interface PandaOptions {
  readonly clock?: Clock;
  /** Which APIs it has; what it lacks is forbidden. */
  readonly dialects?: readonly ('v1' | 'legacy')[];
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
  readonly callers?: Partial<CallerSettings>;
  readonly table?: Partial<TableSettings>;
  /** DNs that are refused. */
  readonly banned?: readonly string[];
  readonly port?: number;
}

/** A PanDA server: its HTTP APIs, its jobs, its adder and its watcher, and the hands of its users and of fate. */
export interface PandaDouble {
  readonly url: string;
  readonly table: JobTable;
  submit(...jobs: readonly WantedJob[]): readonly number[];
  job(id: number): PandaJob;
  /** Serves a file: `/trf/user/hello.sh`. */
  serve(path: string, content: string | Buffer): string;
  token(wish?: TokenWish): string;
  /** The token is no good any more, as if its time were up. */
  revoke(token: string): void;
  setFaults(faults: Partial<PandaFaults>): void;
  /** No fault any more. */
  heal(): void;
  /** Requests that hang. */
  readonly stuck: number;
  /** Answers that wait for their time. */
  readonly delayed: number;
  /** Requests of a method that were heard, or of all. */
  requests(method?: string): number;
  /** Bodies as they were sent, for what must never be in one. */
  readonly heard: readonly string[];
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 8 * 1024 * 1024;
const MAX_HEARD = 10_000;
const DEFAULT_CALLERS: CallerSettings = {
  vos: ['atlas'],
  productionDns: [],
  robotIds: [],
  fqans: {},
};

export async function startPanda(options: PandaOptions = {}): Promise<PandaDouble> {
  const { clock = nodeClock, dialects = ['v1', 'legacy'], tls, banned = [] } = options;
  const state = new PandaServerState(
    clock,
    { ...DEFAULT_CALLERS, ...options.callers },
    { ...DEFAULT_TABLE, ...options.table },
  );
  const heard: string[] = [];
  const revoked = new Set<string>();
  const cancels = new Set<() => void>();

  let stuck = 0;

  const answerFor = async (request: IncomingMessage, body: Buffer): Promise<HttpAnswer> => {
    const url = new URL(request.url ?? '/', 'http://panda');
    if (heard.length < MAX_HEARD) heard.push(`${request.method} ${request.url} ${body.toString('latin1')}`);
    const file = state.files.get(url.pathname);
    if (file !== undefined && request.method === 'GET')
      return { status: 200, type: 'application/octet-stream', body: file };
    const [, first, second, third, fourth, ...more] = url.pathname.split('/');
    const isV1 = first === 'api' && (second === 'v1' || second === 'latest') && more.length === 0;
    const name = isV1 ? `${third}/${fourth}` : (third ?? '');
    state.requests.set(name, (state.requests.get(name) ?? 0) + 1);
    const isLegacy = first === 'server' && second === 'panda' && fourth === undefined;
    const forbidden = textAnswer(403, `ERROR : method ${isV1 ? fourth : name} is forbidden`);
    if (!(isV1 && dialects.includes('v1')) && !(isLegacy && dialects.includes('legacy'))) return forbidden;
    const caller = callerOf(request);
    if (typeof caller === 'string') return textAnswer(403, `ERROR : ${caller}`);
    if (banned.includes(caller.dn)) return textAnswer(403, `ERROR : ${caller.dn} is banned`);
    const headers = { type: request.headers['content-type'] ?? '', accept: request.headers.accept ?? '' };
    if (isLegacy)
      return (
        answerOfLegacy(state, {
          name,
          caller,
          fields: legacyFields(url, headers.type, body),
          accept: headers.accept,
        }) ?? forbidden
      );
    const method = request.method ?? 'GET';
    const isGzip = request.headers['content-encoding'] === 'gzip';
    const given = v1Arguments(url, method, headers.type, isGzip ? gunzipSync(body) : body);
    const value = answerOfV1(state, { name, method, caller, given });
    return value === undefined ? forbidden : answerV1(value, headers);
  };

  const callerOf = (request: IncomingMessage): Caller | string => {
    const { authorization, origin } = request.headers;
    if (authorization === undefined) return callerOfCertificate(state.callers, certificateName(request));
    try {
      const token = authorization.replace(/^Bearer /u, '');
      if (state.faults.tokenExpired || revoked.has(token))
        throw new TokenRefused('Invalid token. Signature has expired');
      return callerOfToken(state.issuer, state.callers, token, origin);
    } catch (caught) {
      if (caught instanceof TokenRefused) return `Token authentication failed. ${caught.message}`;
      throw caught;
    }
  };

  /** Whether the faults of the moment are for this request; counts it where they are for so many. */
  const isMeant = (path: string, body: Buffer): boolean => {
    const { methods, says, times } = state.faults;
    if (times === 0) return false;
    if (methods !== undefined && !methods.some((method) => path.endsWith(`/${method}`))) return false;
    if (says !== undefined && path.includes('update_job') && !says.some((word) => body.includes(`"${word}"`)))
      return false;
    return true;
  };
  const isSet = (): boolean => {
    const { isDown, hangs, isHtml, isBusy, isHalf, lies, isOther, isShuffled, repeats } = state.faults;
    return isDown || hangs || isHtml || isBusy || isHalf || lies || isOther || isShuffled || repeats;
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    const path = (request.url ?? '').split('?')[0] ?? '';
    const before = state.faults;
    const isWrong = isMeant(path, body);
    if (isWrong && before.times !== undefined && isSet())
      state.faults = { ...before, times: before.times - 1 };
    if (isWrong && before.isDown) {
      request.socket.destroy();
      return;
    }
    if (isWrong && before.isHtml) {
      send(response, { status: 200, type: 'text/html', body: '<html><body>Maintenance</body></html>' });
      return;
    }
    if (isWrong && before.isBusy) {
      send(response, { status: 503, type: 'text/html', body: '<html><body>Busy</body></html>' });
      return;
    }
    state.isWrong = isWrong;
    const answer = await answerFor(request, body).catch(uncaught);
    state.isWrong = false;
    if (isWrong && before.hangs) {
      stuck += 1;
      return;
    }
    if (isWrong && before.lostAnswers > 0) {
      state.faults = { ...state.faults, lostAnswers: state.faults.lostAnswers - 1 };
      request.socket.destroy();
      return;
    }
    if (isWrong && before.delayMs > 0) await pause(before.delayMs);
    if (isWrong && before.isHalf) {
      const whole = Buffer.from(answer.body);
      response.writeHead(answer.status, { 'content-type': answer.type, 'content-length': whole.length });
      response.write(whole.subarray(0, whole.length >> 1), () => request.socket.destroy());
      return;
    }
    send(response, answer);
  };

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const cancel = clock.schedule(ms, () => {
        cancels.delete(cancel);
        resolve();
      });
      cancels.add(cancel);
    });

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch(() => response.destroy());
  };
  const server =
    tls === undefined
      ? createPlainServer(listener)
      : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false }, listener);
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`;

  return {
    url,
    table: state.table,
    submit: (...jobs) => jobs.map((job) => state.table.submit(job).id),
    job(id) {
      const job = state.table.job(id);
      if (job === undefined) throw new Error(`no job ${id}`);
      return job;
    },
    serve(path, content) {
      state.files.set(path, Buffer.from(content));
      return `${url}${path}`;
    },
    token: (wish) => state.issuer.mint(wish),
    revoke: (token) => void revoked.add(token),
    heal() {
      state.faults = NO_FAULTS;
      state.table.grace();
    },
    get stuck() {
      return stuck;
    },
    get delayed() {
      return cancels.size;
    },
    setFaults(faults) {
      state.faults = { ...state.faults, ...faults };
    },
    requests: (method) =>
      method === undefined
        ? [...state.requests.values()].reduce((sum, count) => sum + count, 0)
        : (state.requests.get(method) ?? 0),
    heard,
    async close() {
      state.table.close();
      for (const cancel of cancels) cancel();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The name in a client's certificate, as Apache writes it; none where nobody of the server's authority signed it. */
function certificateName({ socket }: IncomingMessage): string {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return '';
  const { subject } = socket.getPeerCertificate();
  return Object.entries(subject)
    .flatMap(([type, value]) => [value].flat().map((part) => `/${type}=${part}`))
    .join('');
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Uncaught('request entity too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function legacyFields(url: URL, type: string, body: Buffer): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {};
  for (const [name, value] of url.searchParams) fields[name] = value;
  if (type === 'application/json') {
    for (const [name, value] of Object.entries(unzipped(body)))
      fields[name] = typeof value === 'string' ? value : pythonText(plain(value));
    return fields;
  }
  for (const [name, value] of new URLSearchParams(body.toString())) fields[name] = value;
  return fields;
}

/** JSON is always gunzipped, whatever the headers say. */
function unzipped(body: Buffer): Readonly<Record<string, PythonValue>> {
  try {
    return parsePython(gunzipSync(body).toString()) as Readonly<Record<string, PythonValue>>;
  } catch (caught) {
    const why = caught instanceof Error ? caught.message : String(caught);
    throw new Uncaught(`received invalid JSON : ${why}`, { cause: caught });
  }
}

function v1Arguments(
  url: URL,
  method: string,
  type: string,
  body: Buffer,
): Readonly<Record<string, PythonValue>> {
  const isPost = method === 'POST' || method === 'PUT';
  if (isPost && type === 'application/json') {
    try {
      return parsePython(body.toString()) as Readonly<Record<string, PythonValue>>;
    } catch (caught) {
      const why = caught instanceof Error ? caught.message : String(caught);
      throw new Uncaught(`received invalid JSON : ${why}`, { cause: caught });
    }
  }
  const pairs = isPost ? new URLSearchParams(body.toString()) : url.searchParams;
  const given: Record<string, PythonValue> = {};
  // Keys that come again become a list.
  for (const name of new Set(pairs.keys())) {
    const values = pairs.getAll(name);
    given[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return given;
}

function uncaught(caught: unknown): HttpAnswer {
  return textAnswer(500, `ERROR : ${caught instanceof Error ? caught.message : String(caught)}`);
}

function send(response: ServerResponse, { status, type, body }: HttpAnswer): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, { 'content-type': type, 'content-length': bytes.length });
  response.end(bytes);
}
