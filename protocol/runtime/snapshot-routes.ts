import type { FastifyInstance } from 'fastify';
import type { SnapshotDesk } from './snapshot-desk.ts';

/** What a control socket answers about copies of its program's databases. No request says where a copy goes. */
export function addSnapshotRoutes(server: FastifyInstance, desk: SnapshotDesk): void {
  server.get('/v1/snapshot', async () => desk.state());
  server.post('/v1/snapshot', async () => {
    desk.begin();
    return desk.state();
  });
  server.delete('/v1/snapshot', async () => {
    await desk.clear();
    return desk.state();
  });
}
