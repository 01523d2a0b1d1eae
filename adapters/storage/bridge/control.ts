import Fastify, { type FastifyInstance } from 'fastify';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import { closeToOthers, prepareSocketPath } from '../../../protocol/runtime/control-socket.ts';
import type { Log } from '../../../protocol/runtime/runtime.ts';
import { endSlowRequests } from '../../../protocol/runtime/slow-requests.ts';
import type { SnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import { addSnapshotRoutes } from '../../../protocol/runtime/snapshot-routes.ts';

export interface BridgeControlOptions {
  readonly path: string;
  readonly snapshots: SnapshotDesk;
  readonly isConnected: () => boolean;
  readonly log: Log;
  /** How long one request may take to arrive. */
  readonly requestTimeoutMs?: number;
}

const REQUEST_TIMEOUT_MS = 30_000;

/** What the operator's commands ask of a running bridge, over a socket that only its user may open. */
export async function openBridgeControl(options: BridgeControlOptions): Promise<{ stop(): Promise<void> }> {
  const server = createServer(options);
  await prepareSocketPath(options.path);
  await server.listen({ path: options.path });
  await closeToOthers(options.path);
  return { stop: () => server.close() };
}

function createServer({
  snapshots,
  isConnected,
  log,
  requestTimeoutMs = REQUEST_TIMEOUT_MS,
}: BridgeControlOptions): FastifyInstance {
  const server = Fastify({
    ...endSlowRequests(requestTimeoutMs),
    logger: false,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: false,
  });
  server.setErrorHandler((caught, _request, reply) => {
    const { code, message } = toCoPilotError(caught);
    if (code === 'INTERNAL') log.error({ err: caught }, 'a control request failed');
    void reply.code(code === 'CONFLICT' ? 409 : code === 'NOT_FOUND' ? 404 : 500).send({ code, message });
  });
  server.setNotFoundHandler(() => {
    throw new CoPilotError('NOT_FOUND', 'there is nothing here');
  });
  server.get('/v1/status', async () => ({ connected: isConnected() }));
  addSnapshotRoutes(server, snapshots);
  return server;
}
