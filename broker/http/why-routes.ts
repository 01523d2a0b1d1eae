import type { FastifyInstance } from 'fastify';
import type { Broker } from '../service/broker.ts';

const whySchema = {
  params: {
    type: 'object',
    required: ['id'],
    properties: { id: { type: 'string', minLength: 1, maxLength: 64 } },
  },
  querystring: {
    type: 'object',
    additionalProperties: false,
    properties: { queue: { type: 'string', minLength: 1, maxLength: 64 } },
  },
} as const;

/** The facts behind `co-pilot job why`; a job the ledger does not have has facts too, those of its queue. */
export function addWhyRoute(server: FastifyInstance, broker: Broker): void {
  server.get<{ Params: { id: string }; Querystring: { queue?: string } }>(
    '/v1/jobs/:id/why',
    { schema: whySchema },
    ({ params, query }) => broker.why(params.id, query.queue),
  );
}
