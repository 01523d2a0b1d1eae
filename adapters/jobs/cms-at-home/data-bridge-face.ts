import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { toCoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { type FileKind, type FileStore, isJobId } from './file-store.ts';
import { formParts } from './multipart.ts';
import type { QueueStore } from './queue-store.ts';

/** Who may do what at the queue's face. */
export interface FaceGuards {
  /** Whether the authenticator is that volunteer's. Rejects where nobody can say. */
  volunteer(user: number, authenticator: string): Promise<boolean>;
  /** Whether the request comes from a machine that puts jobs in and collects results. */
  isProducer(request: IncomingMessage): boolean;
}

export interface FaceOptions {
  readonly queue: QueueStore;
  readonly files: FileStore;
  readonly guards: FaceGuards;
  /** Whether volunteers' old clients are served at all. */
  readonly servesVolunteers: boolean;
  readonly leaseMs: number;
  /** Jobs that one volunteer may have at a time. */
  readonly maxPerVolunteer: number;
  readonly clock: Clock;
  readonly log: Log;
}

/** Of a form: it carries names. */
const MAX_FORM_BYTES = 64 * 1024;
/** How long a collector may take to fetch what was named to it. */
const COLLECT_MS = 3_600_000;
const FILES = /^\/myfed\/t4t-boinc\/(input|output)\/([^/]+)$/;
const AUTHENTICATOR = /^[0-9a-z_]{1,191}$/;

/**
 * The DataBridge of CMS@home and Test4Theory as its clients know it: CGI scripts around a queue of job names, and a federation of files
 * (docs/cms-at-home.md).
 */
export function createDataBridgeFace(options: FaceOptions): RequestListener {
  const { queue, files, guards, servesVolunteers, leaseMs, maxPerVolunteer, clock, log } = options;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = URL.parse(request.url ?? '/', 'http://face.invalid');
    const path = url?.pathname ?? '/';
    queue.expire(clock.wallMs());
    if (path.startsWith('/job-queue/')) {
      if (!guards.isProducer(request)) return end(response, 403);
      return producerScript(path, request, response);
    }
    if (path.startsWith('/boinc-client/')) {
      const user = await volunteerOf(request, response);
      if (user !== undefined) await volunteerScript(path, user, request, response);
      return;
    }
    const file = FILES.exec(path);
    if (file === null) return end(response, 404);
    const [, kind = '', name = ''] = file;
    await serveFile(kind === 'input' ? 'input' : 'output', name, request, response);
  }

  /** Undefined where the answer is given already. */
  async function volunteerOf(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<number | undefined> {
    if (!servesVolunteers) return void end(response, 404);
    const shown = basicOf(request.headers.authorization);
    if (shown !== undefined && (await guards.volunteer(shown.user, shown.authenticator))) return shown.user;
    response.setHeader('www-authenticate', 'Basic realm="BOINC"');
    return void end(response, 401);
  }

  async function volunteerScript(
    path: string,
    user: number,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (path) {
      case '/boinc-client/get-job.cgi': {
        const id = queue.take(holderOf(user), clock.wallMs() + leaseMs, maxPerVolunteer);
        if (id === undefined) return end(response, 404);
        log.info({ job: id, user }, 'a job was given to a volunteer');
        return message(response, id);
      }
      case '/boinc-client/put-jobout.cgi':
        for (const id of await named(request)) await done(id, holderOf(user));
        return page(response);
      default:
        return end(response, 404);
    }
  }

  /** Done is a job whose output is there, and that this volunteer has: anything else is said to be well, and is not done. */
  async function done(id: string, holder: string): Promise<void> {
    const nowMs = clock.wallMs();
    if (!isJobId(id) || !queue.isHeld(id, holder, nowMs) || !(await files.has('output', `${id}.tgz`))) return;
    queue.finish(id, holder, nowMs);
    await files.remove('input', id);
  }

  async function producerScript(
    path: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    switch (path) {
      case '/job-queue/put-job.cgi': {
        const ids = await named(request);
        // The one answer that the script of old did not give: a job that is not kept is not said to be.
        for (const id of ids) if (isJobId(id) && !queue.put(id, clock.wallMs())) return end(response, 503);
        return page(response);
      }
      case '/job-queue/get-jobout.cgi': {
        const id = queue.takeDone(clock.wallMs(), clock.wallMs() + COLLECT_MS);
        return id === undefined ? end(response, 404) : message(response, id);
      }
      case '/job-queue/query-job.cgi':
        return size(response, queue.counts().waiting);
      case '/job-queue/query-jobout.cgi':
        return size(response, queue.counts().done);
      default:
        return end(response, 404);
    }
  }

  async function serveFile(
    kind: FileKind,
    name: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const id = kind === 'output' ? name.replace(/\.tgz$/, '') : name;
    if (!isJobId(id) || (kind === 'output') !== name.endsWith('.tgz')) return end(response, 404);
    const isProducer = guards.isProducer(request);
    const holder = isProducer ? undefined : await volunteerOf(request, response);
    if (!isProducer && holder === undefined) return;
    // A volunteer reads the script of his job, and writes its output; whoever puts jobs in does the other two.
    const isOwn = holder === undefined || queue.isHeld(id, holderOf(holder), clock.wallMs());
    const writes = request.method === 'PUT';
    const reads = request.method === 'GET';
    const isAllowed = isOwn && (writes || reads) && (kind === 'input') === (isProducer ? writes : reads);
    if (!isAllowed) return end(response, 403);
    if (writes) {
      await files.write(kind, name, request);
      return end(response, 201);
    }
    const found = await files.read(kind, name);
    if (found === undefined) return end(response, 404);
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': found.size });
    response.once('finish', () => {
      if (kind === 'output') collected(id);
    });
    found.stream.once('error', () => response.destroy());
    found.stream.pipe(response);
  }

  /** Whoever collects has the whole file. */
  function collected(id: string): void {
    queue.collected(id);
    files.remove('output', `${id}.tgz`).catch((caught: unknown) => {
      log.warn({ job: id, code: toCoPilotError(caught).code }, 'an output that was collected stays on disk');
    });
  }

  return (request, response) => {
    serve(request, response).catch((caught: unknown) => {
      const { code } = toCoPilotError(caught);
      log.warn({ code }, 'a request at the DataBridge failed');
      if (response.headersSent) response.destroy();
      else end(response, code === 'QUOTA_EXCEEDED' ? 413 : 503);
    });
  };
}

function holderOf(user: number): string {
  return `user.${user}`;
}

/** Names in the parts of a form; fields of any other form are no messages, as they were none before. */
async function named(request: IncomingMessage): Promise<readonly string[]> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> = request;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_FORM_BYTES) return [];
    chunks.push(chunk);
  }
  if (request.method !== 'PUT' && request.method !== 'POST') return [];
  return formParts(request.headers['content-type'] ?? '', Buffer.concat(chunks)).map(({ content }) =>
    content.trim(),
  );
}

function basicOf(
  header: string | undefined,
): { readonly user: number; readonly authenticator: string } | undefined {
  const encoded = /^Basic ([A-Za-z0-9+/=]{1,400})$/i.exec(header ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('latin1');
  const [, user = '', authenticator = ''] = /^([1-9][0-9]{0,9}):(.*)$/.exec(text) ?? [];
  return user !== '' && AUTHENTICATOR.test(authenticator) ? { user: Number(user), authenticator } : undefined;
}

/** A message of the queue, with the line end that it always came with, and the type that it never was. */
function message(response: ServerResponse, id: string): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(`${id}\n`);
}

/** What the scripts that put say, whatever became of it. */
function page(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/html' });
  response.end();
}

function size(response: ServerResponse, count: number): void {
  response.writeHead(200, { 'content-type': 'text/yaml' });
  response.end(`size: ${count}\n`);
}

function end(response: ServerResponse, status: number): void {
  response.writeHead(status, { connection: 'close' });
  response.end();
}
