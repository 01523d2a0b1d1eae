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

/** What is answered; nothing else is done with a response but writing this. */
interface FaceAnswer {
  readonly status: number;
  readonly type?: string;
  readonly body?: string;
  readonly file?: StoredFile;
  /** Undefined where it is no challenge. */
  readonly challenge?: string;
  /** Called once all of it is with the client. */
  readonly onSent?: () => void;
}

type StoredFile = NonNullable<Awaited<ReturnType<FileStore['read']>>>;

const NOT_THERE: FaceAnswer = { status: 404 };
const FORBIDDEN: FaceAnswer = { status: 403 };
const UNKNOWN: FaceAnswer = { status: 401, challenge: 'Basic realm="BOINC"' };
/** What the scripts that put say, whatever became of it. */
const PAGE: FaceAnswer = { status: 200, type: 'text/html', body: '' };

/**
 * The DataBridge of CMS@home and Test4Theory as its clients know it: CGI scripts around a queue of job names, and a federation of files
 * (docs/cms-at-home.md).
 */
export function createDataBridgeFace(options: FaceOptions): RequestListener {
  const { queue, files, guards, servesVolunteers, leaseMs, maxPerVolunteer, clock, log } = options;

  async function answer(request: IncomingMessage): Promise<FaceAnswer> {
    const path = URL.parse(request.url ?? '/', 'http://face.invalid')?.pathname ?? '/';
    queue.expire(clock.wallMs());
    if (path.startsWith('/job-queue/'))
      return guards.isProducer(request) ? producerScript(path, request) : FORBIDDEN;
    if (path.startsWith('/boinc-client/')) {
      const user = await volunteerOf(request);
      return typeof user === 'number' ? volunteerScript(path, user, request) : user;
    }
    const [, kind = '', name = ''] = FILES.exec(path) ?? [];
    return kind === '' ? NOT_THERE : fileOf(kind === 'input' ? 'input' : 'output', name, request);
  }

  /** Who asks, or what he is answered instead. */
  async function volunteerOf(request: IncomingMessage): Promise<number | FaceAnswer> {
    if (!servesVolunteers) return NOT_THERE;
    const shown = basicOf(request.headers.authorization);
    if (shown === undefined || !(await guards.volunteer(shown.user, shown.authenticator))) return UNKNOWN;
    return shown.user;
  }

  async function volunteerScript(path: string, user: number, request: IncomingMessage): Promise<FaceAnswer> {
    if (path === '/boinc-client/get-job.cgi') {
      const id = queue.take(holderOf(user), clock.wallMs() + leaseMs, maxPerVolunteer);
      if (id !== undefined) log.info({ job: id, user }, 'a job was given to a volunteer');
      return messageOf(id);
    }
    if (path !== '/boinc-client/put-jobout.cgi') return NOT_THERE;
    for (const id of await named(request)) await done(id, holderOf(user));
    return PAGE;
  }

  /** Done is a job whose output is there, and that this volunteer has: anything else is said to be well, and is not done. */
  async function done(id: string, holder: string): Promise<void> {
    const nowMs = clock.wallMs();
    if (!isJobId(id) || !queue.isHeld(id, holder, nowMs) || !(await files.has('output', `${id}.tgz`))) return;
    queue.finish(id, holder, nowMs);
    await files.remove('input', id);
  }

  async function producerScript(path: string, request: IncomingMessage): Promise<FaceAnswer> {
    const nowMs = clock.wallMs();
    switch (path) {
      case '/job-queue/put-job.cgi': {
        const ids = (await named(request)).filter(isJobId);
        // The one answer that the script of old did not give: a job that is not kept is not said to be.
        return ids.every((id) => queue.put(id, nowMs)) ? PAGE : { status: 503 };
      }
      case '/job-queue/get-jobout.cgi':
        return messageOf(queue.takeDone(nowMs, nowMs + COLLECT_MS));
      case '/job-queue/query-job.cgi':
        return sizeOf(queue.counts().waiting);
      case '/job-queue/query-jobout.cgi':
        return sizeOf(queue.counts().done);
      default:
        return NOT_THERE;
    }
  }

  async function fileOf(kind: FileKind, name: string, request: IncomingMessage): Promise<FaceAnswer> {
    const id = kind === 'output' ? name.replace(/\.tgz$/, '') : name;
    if (!isJobId(id) || (kind === 'output') !== name.endsWith('.tgz')) return NOT_THERE;
    const isProducer = guards.isProducer(request);
    const user = isProducer ? undefined : await volunteerOf(request);
    if (typeof user === 'object') return user;
    // A volunteer reads the script of his job, and writes its output; whoever puts jobs in does the other two.
    const isOwn = user === undefined || queue.isHeld(id, holderOf(user), clock.wallMs());
    const verb = (kind === 'input') === isProducer ? 'PUT' : 'GET';
    if (!isOwn || request.method !== verb) return FORBIDDEN;
    if (verb === 'PUT') {
      await files.write(kind, name, request);
      return { status: 201 };
    }
    const file = await files.read(kind, name);
    if (file === undefined) return NOT_THERE;
    const type = 'application/octet-stream';
    return { status: 200, type, file, ...(isProducer && { onSent: () => collected(id) }) };
  }

  /** Whoever collects has the whole file. */
  function collected(id: string): void {
    queue.collected(id);
    files.remove('output', `${id}.tgz`).catch((caught: unknown) => {
      log.warn({ job: id, code: toCoPilotError(caught).code }, 'an output that was collected stays on disk');
    });
  }

  return (request, response) => {
    answer(request)
      .catch((caught: unknown): FaceAnswer => {
        const { code } = toCoPilotError(caught);
        log.warn({ code }, 'a request at the DataBridge failed');
        return { status: code === 'QUOTA_EXCEEDED' ? 413 : 503 };
      })
      .then((found) => write(response, found))
      .catch(() => response.destroy());
  };
}

function write(response: ServerResponse, { status, type, body, file, challenge, onSent }: FaceAnswer): void {
  response.writeHead(status, {
    ...(type !== undefined && { 'content-type': type }),
    ...(file !== undefined && { 'content-length': file.size }),
    ...(challenge !== undefined && { 'www-authenticate': challenge }),
    // What was sent and not read ends with the connection.
    ...(status >= 400 && { connection: 'close' }),
  });
  if (onSent !== undefined) response.once('finish', onSent);
  if (file === undefined) {
    response.end(body);
    return;
  }
  file.stream.once('error', () => response.destroy());
  file.stream.pipe(response);
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
function messageOf(id: string | undefined): FaceAnswer {
  return id === undefined ? NOT_THERE : { status: 200, type: 'application/json', body: `${id}\n` };
}

function sizeOf(count: number): FaceAnswer {
  return { status: 200, type: 'text/yaml', body: `size: ${count}\n` };
}
