import { randomBytes } from 'node:crypto';
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { authenticate, type Authentication, type Caller } from './authentication.ts';
import { createFaults, type Call, type Fault, type Faults } from './faults.ts';
import { createFileMetadata, type FileMetadata } from './file-metadata.ts';
import { createForm, type Form } from './form.ts';
import { createObjectStore, type ObjectStore } from './object-store.ts';
import { RestError } from './rest-error.ts';
import { getTask, postTask } from './task-api.ts';
import { createTemporaryStorage, type TemporaryStorage } from './temporary-storage.ts';
import { createTaskTable, type TaskTable } from './task-table.ts';
import { type AsoOptions, createTransfers, type Transfers } from './transfers.ts';
import { deleteWorkflow, postWorkflow, putWorkflow } from './user-api.ts';
import { getWorkflowDb, postWorkflowDb } from './worker-api.ts';

const VERSION = 'v3.260801';
const MAX_BODY_BYTES = 130 * 1024 * 1024;
const APIS = [
  'workflow',
  'info',
  'filemetadata',
  'workflowdb',
  'task',
  'filetransfers',
  'fileusertransfers',
  'cache',
];

/** A CRAB server with its database, its S3 bucket and its transfer service. */
export interface CrabDouble {
  /** Up to the instance: `…/crabserver/dev`. */
  readonly url: string;
  readonly tasks: TaskTable;
  readonly files: FileMetadata;
  readonly transfers: Transfers;
  readonly objects: ObjectStore;
  readonly storage: TemporaryStorage;
  /** Where files are put on it. */
  readonly storageUrl: string;
  readonly faults: Faults;
  /** Calls so far, in order, without those to the bucket. */
  readonly calls: readonly Call[];
  /** Calls under way that are not answered, or not before the clock goes on. */
  readonly stuck: number;
  /** Nothing is answered and nothing accepted until `up`. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

export interface CrabDoubleOptions {
  readonly authentication: Authentication;
  readonly clock?: Clock;
  readonly instance?: string;
  readonly aso?: AsoOptions;
  readonly port?: number;
  /** In PEM; without them it speaks plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly ca: string };
}

interface Answer {
  readonly columns?: readonly string[];
  readonly rows: readonly unknown[];
}

export async function startCrabDouble(options: CrabDoubleOptions): Promise<CrabDouble> {
  const { clock = nodeClock, instance = 'dev', aso = {}, tls } = options;
  const tasks = createTaskTable(clock);
  const files = createFileMetadata(tasks, clock);
  const storage = createTemporaryStorage();
  const transfers = createTransfers(tasks, clock, aso, (lfn) => storage.files.has(lfn));
  const objects = createObjectStore(clock);
  const faults = createFaults();
  const calls: Call[] = [];
  let stuck = 0;
  let base = '';

  const answerTo = (call: Call, form: Form, caller: Caller, request: IncomingMessage): Answer => {
    const nowMs = clock.wallMs();
    switch (`${call.method} ${call.api}`) {
      case 'POST workflowdb':
        return { rows: postWorkflowDb(tasks, form, nowMs) };
      case 'GET workflowdb':
        return { rows: getWorkflowDb(tasks, form) };
      case 'GET task':
        return { rows: getTask(tasks, form) };
      case 'POST task':
        return { rows: postTask(tasks, form, caller.isOperator) };
      case 'PUT workflow': {
        const address = String(request.headers['x-forwarded-for'] ?? request.socket.remoteAddress ?? '');
        return { rows: putWorkflow(tasks, form, { login: caller.login, dn: caller.dn, address, nowMs }) };
      }
      case 'POST workflow':
        return { rows: postWorkflow(tasks, form) };
      case 'DELETE workflow':
        return { rows: deleteWorkflow(tasks, form) };
      case 'PUT filemetadata':
        return { rows: files.put(form) };
      case 'POST filemetadata':
        return { rows: files.post(form) };
      case 'GET filemetadata':
        return { rows: files.get(form) };
      case 'DELETE filemetadata':
        return { rows: files.remove(form, caller.isOperator) };
      case 'PUT fileusertransfers':
        return { rows: transfers.put(form) };
      case 'POST fileusertransfers':
        return { rows: transfers.post(form) };
      case 'GET fileusertransfers':
        return transfers.get(form);
      case 'POST filetransfers':
        return { rows: transfers.work(form) };
      case 'GET cache':
        return { rows: cache(objects, base, form, caller.login) };
      case 'GET info':
        return { rows: info(form) };
      default:
        throw new RestError('MethodNotAllowed', `Method ${call.method} not allowed`);
    }
  };

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const startedMs = clock.wallMs();
    const body = await readBody(request);
    if (objects.serve(request, response, body) || storage.serve(request, response, body)) return;
    const reply = createReply(request, response, startedMs, clock);
    const url = new URL(request.url ?? '/', base);
    let call: Call = { api: '', method: request.method ?? 'GET', subresource: '' };
    try {
      const parameters = new URLSearchParams(url.search);
      if (/^application\/x-www-form-urlencoded/.test(request.headers['content-type'] ?? ''))
        for (const [name, value] of new URLSearchParams(body.toString('utf8')))
          parameters.append(name, value);
      call = { ...call, subresource: parameters.get('subresource') ?? '' };
      const api = apiOf(url.pathname, instance);
      call = { ...call, api };
      calls.push(call);
      const fault = faults.take(call);
      if (fault?.kind === 'hang' || fault?.kind === 'slow') {
        stuck++;
        response.once('close', () => stuck--);
      }
      if (fault !== undefined && (await reply.before(fault))) return;
      const caller = authenticate(request, options.authentication);
      const act = (): Answer => answerTo(call, createForm(parameters), caller, request);
      const answer = fault?.kind === 'pretended' ? { rows: [] } : act();
      if (fault?.kind === 'repeated')
        await Promise.resolve()
          .then(act)
          .catch(() => undefined);
      reply.rows(answer, fault);
    } catch (caught) {
      reply.error(caught);
    }
  };

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch(() => response.destroy());
  };
  const server =
    tls === undefined
      ? createPlainServer(listener)
      : createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: false }, listener);
  server.keepAliveTimeout = 5_000;
  const listen = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        server.off('error', reject);
        resolve((server.address() as AddressInfo).port);
      });
    });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  const port = await listen(options.port ?? 0);
  base = tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  return {
    url: `${base}/crabserver/${instance}`,
    tasks,
    files,
    transfers,
    objects,
    storage,
    storageUrl: storage.address(base),
    faults,
    calls,
    get stuck() {
      return stuck;
    },
    down: close,
    up: async () => void (await listen(port)),
    async stop() {
      transfers.stop();
      await close();
    },
  };
}

/** `/crabserver/<instance>/<api>`; throws as WMCore does. */
function apiOf(path: string, instance: string): string {
  const [, root, shownInstance, api = '', ...rest] = path.split('/');
  if (root !== 'crabserver' || shownInstance === undefined || shownInstance === '')
    throw new RestError('NoApi', 'API name missing');
  if (shownInstance !== instance) throw new RestError('NoSuchInstance', 'No such instance');
  if (api === '') throw new RestError('NoApi', 'API name missing');
  if (!APIS.includes(api) || rest.length > 0) throw new RestError('UnknownApi', 'API not supported');
  return api;
}

const OBJECT_TYPES = /^(?:clientlog|twlog|sandbox|debugfiles|runtimefiles)$/;

function cache(objects: ObjectStore, base: string, form: Form, login: string): readonly unknown[] {
  const resource = form.text('subresource', /^(?:upload|download|retrieve|list|used)$/);
  const type = form.optional('objecttype', OBJECT_TYPES);
  const task = form.optional('taskname', /^[A-Za-z0-9_:-]{1,232}$/);
  const user = form.optional('username', /^[a-z0-9_]{1,20}$/) ?? login;
  const name = form.optional('tarballname', /^[A-Za-z0-9._-]{1,160}$/);
  form.end();
  const key = (): string => {
    if (type === undefined) throw new RestError('MissingParameter', 'objecttype is missing');
    if (type === 'sandbox') {
      if (name === undefined) throw new RestError('MissingParameter', 'tarballname is missing');
      return `${user}/sandboxes/${name}`;
    }
    if (task === undefined) throw new RestError('MissingParameter', 'taskname is missing');
    return `${user}/${task}/${type}`;
  };
  switch (resource) {
    case 'upload': {
      const wanted = key();
      if (type === 'sandbox' && objects.has(wanted)) return ['', {}];
      return [...objects.presignPost(base, wanted)];
    }
    case 'download':
      return [objects.presignGet(base, key())];
    case 'list':
      return objects.keys().filter((one) => one.startsWith(`${user}/`));
    default:
      return [0];
  }
}

function info(form: Form): readonly unknown[] {
  const resource = form.optional('subresource');
  form.end();
  if (resource === undefined) return [{ crabserver: 'Welcome', version: VERSION }];
  if (resource === 'delegatedn')
    return [{ services: ['/DC=ch/DC=cern/OU=computers/CN=tw/vocms0000.invalid'] }];
  if (resource === 'version') return [VERSION];
  throw new RestError('InvalidParameter', 'Subresource of info has not been found');
}

interface Reply {
  /** Whether the fault is all that there is to answer. */
  before(fault: Fault): Promise<boolean>;
  rows(answer: Answer, fault: Fault | undefined): void;
  error(caught: unknown): void;
}

/** Answers as WMCore does: rows streamed one a line, its own headers beside. */
function createReply(
  request: IncomingMessage,
  response: ServerResponse,
  startedMs: number,
  clock: Clock,
): Reply {
  const time = (): string => `${((clock.wallMs() - startedMs) * 1000).toFixed(0)} us`;
  return {
    async before(fault) {
      switch (fault.kind) {
        case 'down':
          response.destroy();
          return true;
        case 'hang':
        case 'repeated':
          return false;
        case 'slow':
          await new Promise<void>((resolve) => void clock.schedule(fault.ms, resolve));
          return false;
        case 'html':
          response.writeHead(200, { 'content-type': 'text/html' });
          response.end('<html><head><title>Please log in</title></head><body>CERN</body></html>');
          return true;
        case 'huge':
          response.writeHead(200, { 'content-type': 'application/json', 'x-rest-status': '100' });
          response.end(`{"result": [\n "${'x'.repeat(fault.bytes)}"\n]}\n`);
          return true;
        case 'status':
          if (fault.done) return false;
          response.writeHead(fault.status, { 'content-type': 'text/html' });
          response.end(`<html><title>${fault.status}</title></html>`);
          return true;
        case 'lost':
        case 'cut':
        case 'twice':
        case 'reversed':
        case 'pretended':
          return false;
      }
    },
    rows({ columns, rows }, fault) {
      if (fault?.kind === 'hang') return;
      if (fault?.kind === 'lost') return void response.destroy();
      if (fault?.kind === 'status') {
        response.writeHead(fault.status, { 'content-type': 'text/html' });
        return void response.end(`<html><title>${fault.status}</title></html>`);
      }
      const shown =
        fault?.kind === 'twice'
          ? rows.flatMap((row) => [row, row])
          : fault?.kind === 'reversed'
            ? rows.toReversed()
            : rows;
      response.writeHead(200, {
        'content-type': 'application/json',
        'x-rest-status': '100',
        'x-rest-time': time(),
        etag: `"${randomBytes(8).toString('hex')}"`,
        vary: 'Accept',
      });
      const head =
        columns === undefined
          ? '{"result": ['
          : `{"desc": {"columns": ${JSON.stringify(columns)}}, "result": [`;
      const text = `${head}\n${shown.map((row, at) => `${at === 0 ? ' ' : ','}${JSON.stringify(row)}\n`).join('')}]}\n`;
      if (fault?.kind !== 'cut') return void response.end(text);
      response.write(text.slice(0, text.length / 2), () => response.destroy());
    },
    error(caught) {
      const error =
        caught instanceof RestError
          ? caught
          : new RestError('Unexpected', `${String(caught)} at ${request.url ?? ''}`);
      response.writeHead(error.status, {
        'content-type': 'text/html;charset=utf-8',
        'x-rest-status': String(error.appCode),
        'x-rest-time': time(),
        'x-error-http': String(error.status),
        'x-error-id': randomBytes(16).toString('hex'),
        'x-error-detail': error.kind,
        'x-error-info': error.message.replaceAll(/[^ -~]/g, ' ').slice(0, 200),
      });
      response.end();
    },
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> = request;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('the body is over its bound');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
