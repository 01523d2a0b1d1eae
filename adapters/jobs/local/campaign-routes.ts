import type { FastifyInstance } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';
import { CONTROL_SCHEMAS, MAX_CANCELLED_AT_ONCE } from './control-schema.ts';
import type { LocalState } from './job-state.core.ts';
import type { LocalQueue } from './local-queue.ts';
import { MAX_CAMPAIGN_PAGE, noSuchCampaign } from './queue-campaigns.ts';
import type { CampaignSummary, QueueSummary } from './queued-job.ts';
import type { Throughput } from './throughput.ts';

/** A campaign or queue with the pace of the last minutes. */
export type Paced<T> = T & {
  /** Null where too little was seen to say. */
  readonly finishedPerMinute: number | null;
};

export interface CampaignListing {
  readonly campaigns: readonly Paced<CampaignSummary>[];
  readonly next?: string;
}

export interface QueueListing {
  readonly queues: readonly Paced<QueueSummary>[];
}

export interface CampaignRoutesOptions {
  readonly queue: LocalQueue;
  readonly throughput: Throughput;
}

interface ByName {
  readonly Params: { readonly campaign: string };
}

/** Campaigns and queues as a whole: listed, paused, resumed, cancelled page by page. */
export function addCampaignRoutes(
  server: FastifyInstance,
  { queue, throughput }: CampaignRoutesOptions,
): void {
  const schema = { params: CONTROL_SCHEMAS.campaign };
  const paced = (campaign: CampaignSummary): Paced<CampaignSummary> => ({
    ...campaign,
    finishedPerMinute: throughput.perMinute('campaign', campaign.campaign),
  });

  server.get<{ Querystring: { after?: string; limit?: number } }>(
    '/v1/campaigns',
    { schema: { querystring: CONTROL_SCHEMAS.campaigns } },
    async ({ query }): Promise<CampaignListing> => {
      const page = queue.campaigns(query.after ?? '', query.limit ?? MAX_CAMPAIGN_PAGE);
      return { ...page, campaigns: page.campaigns.map(paced) };
    },
  );
  server.get<ByName>('/v1/campaigns/:campaign', { schema }, async ({ params }) => {
    const found = queue.campaign(params.campaign);
    if (found === undefined) throw new CoPilotError('NOT_FOUND', noSuchCampaign(params.campaign));
    return paced(found);
  });
  server.post<ByName>('/v1/campaigns/:campaign/pause', { schema }, async ({ params }) =>
    paced(await queue.pause(params.campaign)),
  );
  server.post<ByName>('/v1/campaigns/:campaign/resume', { schema }, async ({ params }) =>
    paced(await queue.resume(params.campaign)),
  );
  server.post<ByName & { Body: { state?: LocalState; after: number } }>(
    '/v1/campaigns/:campaign/cancel',
    { schema: { ...schema, body: CONTROL_SCHEMAS.cancelCampaign } },
    ({ params, body }) => queue.cancelCampaign(params.campaign, { ...body, limit: MAX_CANCELLED_AT_ONCE }),
  );
  server.get(
    '/v1/queues',
    async (): Promise<QueueListing> => ({
      queues: queue.queues().map((one) => ({
        ...one,
        finishedPerMinute: throughput.perMinute('queue', one.queue),
      })),
    }),
  );
}
