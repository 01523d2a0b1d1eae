import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { createHttpQueue, type HttpQueue, type SubmittedJob, type WireBeat, type WireEnd } from './queue.ts';
import type { WireFault } from '../wire-fault.ts';
import { createWireFaults, type WireFaults } from './wire-faults.ts';

/** The queue of docs/http-queue.md as a server. */
export interface HttpQueueServer {
  readonly url: string;
  readonly queue: HttpQueue;
  readonly faults: WireFaults;
  /** Whom it lets in from now on. */
  setToken(token: string): void;
  /** Every answer takes so long, by the clock. */
  setDelay(ms: number): void;
  /** Requests so far, by path without its query. */
  readonly requests: ReadonlyMap<string, number>;
  /** Requests under way. */
  readonly open: number;
  /** Of those under way, how many wait for the clock or for ever. */
  readonly stuck: number;
  close(): Promise<void>;
}

export interface HttpQueueServerOptions {
  readonly clock: Clock;
  readonly token: string;
  readonly port?: number;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

const MAX_BODY_BYTES = 16 * 1024 * 1024;

export async function startHttpQueue({
  clock,
  token,
  port = 0,
}: HttpQueueServerOptions): Promise<HttpQueueServer> {
  const queue = createHttpQueue(clock);
  const faults = createWireFaults();
  const requests = new Map<string, number>();
  let wanted = token;
  let delayMs = 0;
  let open = 0;
  let stuck = 0;

  const server = createServer((request, response) => {
    open++;
    response.once('close', () => open--);
    serve(request, response).catch(() => response.destroy());
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const asked = await readRequest(request);
    requests.set(asked.path, (requests.get(asked.path) ?? 0) + 1);
    if (delayMs > 0) await wait(delayMs);
    const fault = faults.next(asked.path);
    if (fault === 'down') return void response.destroy();
    if (fault === 'busy') return void response.writeHead(503).end('try again later');
    if (fault === 'html')
      return void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
    if (request.headers.authorization !== `Bearer ${wanted}`)
      return void response.writeHead(401).end(JSON.stringify({ error: 'the token does not count' }));
    const answer = fault === 'lie' ? lieOf(asked) : answerOf(queue, asked);
    if (fault === 'twice') answerOf(queue, asked);
    if (answer === undefined)
      return void response.writeHead(404).end(JSON.stringify({ error: 'no such request' }));
    await send(response, answer, fault);
  }

  async function send(response: ServerResponse, answer: object, fault: WireFault | undefined): Promise<void> {
    const text = JSON.stringify(distorted(answer, fault));
    if (fault === 'lost') return void response.destroy();
    if (fault === 'hang') return hang(response);
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    if (fault !== 'half') return void response.end(text);
    response.write(text.slice(0, Math.floor(text.length / 2)));
    response.destroy();
  }

  async function wait(ms: number): Promise<void> {
    stuck++;
    await new Promise<void>((resolve) => void clock.schedule(ms, resolve));
    stuck--;
  }

  async function hang(response: ServerResponse): Promise<void> {
    stuck++;
    await once(response, 'close');
    stuck--;
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queue,
    faults,
    setToken: (next) => void (wanted = next),
    setDelay: (ms) => void (delayMs = ms),
    requests,
    get open() {
      return open;
    },
    get stuck() {
      return stuck;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const url = new URL(request.url ?? '/', 'http://queue');
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> = request;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('the request is too large');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    body: text === '' ? {} : (JSON.parse(text) as Asked['body']),
  };
}

function answerOf(queue: HttpQueue, { method, path, query, body }: Asked): object | undefined {
  switch (`${method} ${path}`) {
    case 'POST /v1/submit':
      return { submitted: queue.submit(String(body['queue']), body['jobs'] as readonly SubmittedJob[]) };
    case 'POST /v1/cancel':
      queue.cancel(String(body['id']));
      return {};
    case 'GET /v1/jobs':
      return {
        jobs: queue.jobs().map(({ id, try: number, state, reason }) => ({ id, try: number, state, reason })),
      };
    case 'POST /v1/take':
      return queue.take(String(body['queue']), Number(body['max']), String(body['worker']));
    case 'GET /v1/held':
      return queue.held(query.get('queue') ?? '', query.get('worker') ?? '');
    case 'POST /v1/beat':
      return queue.beat(body['beats'] as readonly WireBeat[]);
    case 'POST /v1/end':
      return queue.end(body as unknown as WireEnd);
    default:
      return undefined;
  }
}

/** What a careless reader takes for a yes. */
function lieOf({ path, body }: Asked): object {
  switch (path) {
    case '/v1/take':
      return { jobs: [{ id: '', try: 0 }] };
    case '/v1/beat':
      return { heard: [] };
    case '/v1/end':
      return { ...body, state: 'running', answer: 'ok' };
    default:
      return { success: true };
  }
}

function distorted(answer: object, fault: WireFault | undefined): object {
  if (fault === 'other') return { ...answer, id: 'job-of-somebody-else' };
  if (fault !== 'shuffled') return answer;
  const turned = Object.entries(answer).map(([key, value]: [string, unknown]) => [
    key,
    Array.isArray(value) ? value.toReversed() : value,
  ]);
  return Object.fromEntries(turned) as object;
}
