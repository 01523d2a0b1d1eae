import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock, Random } from '../../../protocol/runtime/runtime.ts';
import { parseJdl } from '../../../protocol/jdl/index.ts';
import { stateId } from './job-states.ts';
import { errorOf, readCall, resultOf, type RpcCall } from './json-rpc.ts';
import { siteAdOf } from './site-ad.ts';
import { createTaskQueue, jdlOf, type QueueRow, type TaskQueue } from './task-queue.ts';

/** What goes wrong on the wire, for every call until it is changed. */
export interface WireFaults {
  /** Connections are cut before anything is read. */
  readonly down: boolean;
  /** The call is done, and its answer is never sent. */
  readonly lost: boolean;
  /** The call is done twice: the answer is the second one's. */
  readonly twice: boolean;
  /** The call is done; half of its answer comes. */
  readonly half: boolean;
  /** Nothing is done; a page of HTML comes. */
  readonly html: boolean;
  /** Nothing is done; the answer says 1, which means done. */
  readonly liar: boolean;
  /** Milliseconds of real time before anything is done. */
  readonly slowMs: number;
}

const NO_FAULTS: WireFaults = {
  down: false,
  lost: false,
  twice: false,
  half: false,
  html: false,
  liar: false,
  slowMs: 0,
};

export interface AlienDoubleOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly register?: (row: QueueRow) => boolean;
  /** Perl's list in scalar context: of `(-1, text)` the text alone comes. */
  readonly bareErrors?: boolean;
}

export interface AlienDouble {
  readonly url: string;
  readonly queue: TaskQueue;
  /** Every call that was understood, in order: its method and parameters. */
  readonly calls: readonly { readonly method: string; readonly params: readonly unknown[] }[];
  setFaults(faults: Partial<WireFaults>): void;
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Broker, manager, job information and cluster monitor of classic AliEn behind one address, as JSON-RPC over HTTP. */
export async function startAlienDouble(options: AlienDoubleOptions): Promise<AlienDouble> {
  const queue = createTaskQueue({ ...options, generation: 'classic' });
  const calls: { method: string; params: readonly unknown[] }[] = [];
  let faults = NO_FAULTS;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (faults.down) return void request.socket.destroy();
    const body = await bodyOf(request);
    if (faults.slowMs > 0) await new Promise((resolve) => setTimeout(resolve, faults.slowMs));
    const call = readCall(body);
    if (faults.html) {
      response.writeHead(200, { 'content-type': 'text/html' });
      return void response.end('<html><body>Service temporarily unavailable</body></html>');
    }
    const text = call === undefined ? errorOf(call, 'cannot be read') : replyTo(call);
    if (faults.lost) return void request.socket.destroy();
    response.writeHead(text.includes('"error":{') ? 500 : 200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    });
    if (!faults.half) return void response.end(text);
    response.write(text.slice(0, text.length / 2));
    setImmediate(() => request.socket.destroy());
  };
  const replyTo = (call: RpcCall): string => {
    calls.push({ method: call.method, params: call.params });
    if (faults.liar) return resultOf(call, 1);
    const operate = OPERATIONS[call.method];
    if (operate === undefined) return errorOf(call, `no such method: ${call.method}`);
    try {
      if (faults.twice) operate(queue, call.params);
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
    setFaults(next) {
      faults = { ...faults, ...next };
    },
    async stop() {
      queue.stop();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
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
