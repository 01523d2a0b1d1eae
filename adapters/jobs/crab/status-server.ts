import { fastify } from 'fastify';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../../protocol/runtime/slow-requests.ts';
import { nodeLines, reportLines, statusFile } from './status-file.ts';
import type { TaskStore } from './task-store.ts';

/** Serves the states of jobs to whoever asks, as a scheduler's web directory does. It takes nothing. */
export interface StatusServer {
  /** Where it listens. */
  readonly url: string;
  stop(): Promise<void>;
}

export interface StatusServerOptions {
  readonly store: TaskStore;
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  readonly cmsSite: string;
}

const REQUEST_MS = 10_000;
const NAME = '^[A-Za-z0-9_:-]{1,232}$';

interface ByTask {
  readonly Params: { readonly task: string };
}

/** Rejects with the system's error where it cannot listen. */
export async function startStatusServer(options: StatusServerOptions): Promise<StatusServer> {
  const { store, clock, host, port, cmsSite } = options;
  const server = fastify({
    ...endSlowRequests(REQUEST_MS),
    forceCloseConnections: true,
    exposeHeadRoutes: false,
  });
  const schema = {
    params: { type: 'object', properties: { task: { type: 'string', pattern: NAME } }, required: ['task'] },
  };
  const add = (file: string, type: string, read: (task: string) => string | undefined): void => {
    server.get<ByTask>(`/:task/${file}`, { schema }, async ({ params }, reply) => {
      const text = read(params.task);
      return text === undefined
        ? reply.code(404).type('text/plain').send('no such task\n')
        : reply.type(type).send(text);
    });
  };
  const status = (task: string): string | undefined => {
    const file = statusFile(store, task, cmsSite, Math.floor(clock.wallMs() / 1000));
    return file && JSON.stringify(file);
  };
  add('status_cache.json', 'application/json', status);
  add('task_process/status_cache.json', 'application/json', status);
  add('fjr_parse_results.txt', 'text/plain', (task) => reportLines(store, task));
  add('node_state.txt', 'text/plain', (task) => nodeLines(store, task));
  await server.listen({ host, port });
  const [address] = server.addresses();
  const bound = typeof address === 'object' ? address.port : port;
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
    stop: async () => server.close(),
  };
}
