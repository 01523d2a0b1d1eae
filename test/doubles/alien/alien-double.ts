import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock, Random } from '../../../protocol/runtime/runtime.ts';
import { parseJdl } from '../../../protocol/jdl/index.ts';
import type { FaultPlace, WireFault } from '../wire-fault.ts';
import { stateId } from './job-states.ts';
import { errorOf, readCall, resultOf, type RpcCall } from './json-rpc.ts';
import { siteAdOf } from './site-ad.ts';
import { createTaskQueue, jdlOf, type QueueRow, type TaskQueue } from './task-queue.ts';

/** Of an answer that names no job and lists none; a lie says 1, which means done. */
export type AlienFault = Exclude<WireFault, 'other' | 'shuffled'>;

export interface AlienDoubleOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly register?: (row: QueueRow) => boolean;
  /** Perl's list in scalar context: of `(-1, text)` the text alone comes. */
  readonly bareErrors?: boolean;
  /** Methods that this server does not have. */
  readonly without?: readonly string[];
}

export interface AlienDouble {
  readonly url: string;
  readonly queue: TaskQueue;
  /** Every call that was understood, in order: its method and parameters. */
  readonly calls: readonly { readonly method: string; readonly params: readonly unknown[] }[];
  /** From now on, or for so many calls. */
  inject(fault: AlienFault, place?: FaultPlace, times?: number): void;
  heal(): void;
  /** Milliseconds before anything is done. */
  setDelay(ms: number): void;
  /** Only who sends this bearer token is let in, as by a proxy in front; everybody where it is undefined. */
  setToken(token: string | undefined): void;
  /** Calls that wait for the clock, or for ever. */
  readonly stuck: number;
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Broker, manager, job information and cluster monitor of classic AliEn behind one address, as JSON-RPC over HTTP. */
export async function startAlienDouble(options: AlienDoubleOptions): Promise<AlienDouble> {
  const queue = createTaskQueue({ ...options, generation: 'classic' });
  const calls: { method: string; params: readonly unknown[] }[] = [];
  let plans: { readonly fault: AlienFault; readonly place: FaultPlace; left: number }[] = [];
  let token: string | undefined;
  let delayMs = 0;
  let stuck = 0;

  const faultOf = (call: RpcCall | undefined): AlienFault | undefined => {
    const place = call === undefined ? 'all' : placeOf(call);
    const plan = plans.find((one) => one.left > 0 && (one.place === 'all' || one.place === place));
    if (plan !== undefined) plan.left--;
    return plan?.fault;
  };
  const wait = async (ms: number): Promise<void> => {
    stuck++;
    await new Promise<void>((resolve) => void options.clock.schedule(ms, resolve));
    stuck--;
  };
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await bodyOf(request);
    if (delayMs > 0) await wait(delayMs);
    const call = readCall(body);
    const fault = faultOf(call);
    const send = (status: number, type: string, text: string): void => {
      response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
      response.end(text);
    };
    const isLetIn = token === undefined || request.headers.authorization === `Bearer ${token}`;
    if (fault === 'down') request.socket.destroy();
    else if (fault === 'busy') send(503, 'text/plain', 'overloaded');
    else if (fault === 'html') send(200, 'text/html', '<html><body>Service unavailable</body></html>');
    else if (!isLetIn) send(401, 'text/html', '<html><body>401 Authorization Required</body></html>');
    else
      reply(
        request,
        response,
        call === undefined ? errorOf(call, 'cannot be read') : replyTo(call, fault),
        fault,
      );
  };
  const reply = (
    { socket }: IncomingMessage,
    response: ServerResponse,
    text: string,
    fault: AlienFault | undefined,
  ): void => {
    if (fault === 'hang') {
      stuck++;
      socket.once('close', () => stuck--);
      return;
    }
    if (fault === 'lost') {
      socket.destroy();
      return;
    }
    const status = text.includes('"error":{') ? 500 : 200;
    const length = Buffer.byteLength(text);
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': length });
    if (fault !== 'half') {
      response.end(text);
      return;
    }
    response.write(text.slice(0, text.length / 2));
    setImmediate(() => socket.destroy());
  };
  const replyTo = (call: RpcCall, fault: AlienFault | undefined): string => {
    calls.push({ method: call.method, params: call.params });
    if (fault === 'lie') return resultOf(call, 1);
    const operate = options.without?.includes(call.method) === true ? undefined : OPERATIONS[call.method];
    if (operate === undefined) return errorOf(call, `no such method: ${call.method}`);
    try {
      if (fault === 'twice') operate(queue, call.params);
      const result = operate(queue, call.params);
      return resultOf(call, options.bareErrors === true && isFailure(result) ? result[1] : result);
    } catch (caught) {
      return errorOf(call, caught instanceof Error ? caught.message : String(caught));
    }
  };

  const server = createServer((request, response) => {
    answer(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    queue,
    calls,
    inject(fault, place = 'all', times = Infinity) {
      plans.push({ fault, place, left: times });
    },
    heal() {
      plans = [];
      delayMs = 0;
    },
    setDelay(ms) {
      delayMs = ms;
    },
    setToken(next) {
      token = next;
    },
    get stuck() {
      return stuck;
    },
    async stop() {
      queue.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** `news` are the changes on the way to RUNNING and heartbeats; every other change, and what is asked about it, belongs to the end. */
function placeOf({ method, params }: RpcCall): FaultPlace {
  if (method === 'getJobAgent') return 'take';
  if (method === 'SetProcInfoBunch' || method === 'SetProcInfo') return 'news';
  if (method !== 'changeStatusCommand') return 'all';
  const [, , from, to] = params;
  if (from === 'ZOMBIE') return 'all';
  return to === 'STARTED' || to === 'RUNNING' ? 'news' : 'end';
}

function isFailure(result: unknown): result is readonly [number, string] {
  return Array.isArray(result) && result[0] === -1;
}

type Operation = (queue: TaskQueue, params: readonly unknown[]) => unknown;

const text = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' ? String(value) : '';

const OPERATIONS: Readonly<Record<string, Operation>> = {
  getJobAgent(queue, [, , siteJdl]) {
    const matched = queue.match(siteAdOf(parseJdl(text(siteJdl))));
    switch (matched.kind) {
      case 'job': {
        const { row, token } = matched;
        return { execute: [{ queueid: row.id, token, jdl: jdlOf(row), user: row.user }] };
      }
      case 'install':
        return { execute: [-3, ...matched.packages] };
      case 'none':
        return { execute: [-2, 'No jobs waiting in the queue'] };
      case 'closed':
        return { execute: [0, 'The queue is locked '] };
    }
  },
  offerAgent(queue, [, , siteJdl, slots]) {
    const { installed: _, ...site } = siteAdOf(parseJdl(text(siteJdl)));
    const waiting = queue.rows().filter((row) => row.status === 'WAITING').length;
    const count = Math.min(waiting, Number(text(slots)) || 0);
    return count === 0 || site.ce === ''
      ? -2
      : [count, '[Type="Job"; Requirements = other.Type == "machine"]'];
  },
  enterCommand(queue, [host, jdl, priority]) {
    try {
      return queue.submit(text(host).split('@')[0] ?? '', text(jdl), [], Number(text(priority)) || 0);
    } catch {
      return [-1, 'incorrect JDL input'];
    }
  },
  changeStatusCommand(queue, params) {
    const [id, ...rest] = params.map(text);
    // Old clients say no token; theirs are 32 characters.
    const hasToken = (rest[0] ?? '').length >= 30;
    const [from = '%', to = '', site = '', error = '', node = ''] = hasToken ? rest.slice(1) : rest;
    const fault = queue.change({
      id: Number(id),
      ...(hasToken && rest[0] !== undefined && { token: rest[0] }),
      from,
      to,
      site,
      error,
      node,
    });
    return fault === undefined ? 1 : [-1, fault];
  },
  SetProcInfoBunch(queue, [, entries]) {
    for (const entry of Array.isArray(entries) ? (entries as readonly Record<string, unknown>[]) : []) {
      const id = Number(text(entry['jobId']));
      const tag = text(entry['tag']);
      if (tag === '' || tag === 'proc') queue.procInfo(id, text(entry['procinfo']));
      else queue.log(id, tag, text(entry['procinfo']));
    }
    return 1;
  },
  SetProcInfo: (queue, [id, line]) =>
    queue.procInfo(Number(text(id)), text(line)) ? 1 : [-1, 'updating job'],
  putJobLog: (queue, [id, tag, line]) =>
    queue.log(Number(text(id)), text(tag), text(line)) ? 1 : [-1, 'no job'],
  getTrace(queue, [id, ...tags]) {
    const row = queue.row(Number(text(id)));
    const wanted = tags.map(text).filter((tag) => tag !== '');
    return (row?.log ?? [])
      .filter(({ tag }) =>
        wanted.length === 0 ? tag === 'state' : wanted.includes(tag) || wanted.includes('all'),
      )
      .map((line) => `[${line.tag.padEnd(10)}]: ${line.text}\n`)
      .join('');
  },
  getJobInfo(queue, [, ...ids]) {
    const counts: Record<string, number> = {};
    for (const id of ids.map((one) => Number(text(one)))) {
      for (const row of queue.rows()) {
        if (row.id !== id && row.split !== id) continue;
        const key = String(stateId(row.status));
        counts[key] = (counts[key] ?? 0) + 1;
      }
    }
    return counts;
  },
  getSpyUrl: () => '',
  alive: () => ({ maxjobs: 1000, maxqueuedjobs: 1000 }),
  status: () => ({ VERSION: 'v2-19', Name: 'double' }),
  reply: () => 1,
};

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return address.port;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> = request;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new Error('too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
