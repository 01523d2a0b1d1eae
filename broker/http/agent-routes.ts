import type { FastifyInstance } from 'fastify';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { AgentRow } from '../core/state.ts';
import type { LedgerKeeping } from '../ledger/keeping.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Broker } from '../service/broker.ts';

export interface AgentRoutesOptions {
  readonly broker: Broker;
  readonly ledger: Ledger & LedgerKeeping;
  readonly clock: Clock;
}

/** One agent as a list shows it. */
export interface AgentSummary {
  readonly agent: string;
  readonly owner: string;
  readonly site: string;
  readonly tier: AgentRow['tier'];
  readonly status: AgentRow['status'];
  /** Whether it counts among its owner's agents. */
  readonly place: boolean;
  readonly connected: boolean;
  /** Attempts it runs, and attempts it has reported that are not decided yet. */
  readonly live: number;
  readonly unresolved: number;
  /** Since it was last heard; null where not since this start of the broker. */
  readonly lastHeardSeconds: number | null;
  /** Until it gets work again; 0 where it gets work now. */
  readonly coolDownSeconds: number;
}

/** Everything an operator may want to know of an agent. */
export interface AgentDetail extends AgentSummary {
  readonly quickFailures: number;
  readonly held: AgentRow['held'];
  /** Verdicts that it has not named as seen. */
  readonly verdicts: AgentRow['verdicts'];
}

export interface AgentListing {
  readonly agents: readonly AgentSummary[];
  /** Goes into the next `after`; absent on the last page. */
  readonly next?: string;
}

const MAX_PAGE = 1000;

const pageSchema = {
  querystring: {
    type: 'object',
    properties: {
      after: { type: 'string', maxLength: 64 },
      limit: { type: 'integer', minimum: 1, maximum: MAX_PAGE },
    },
    additionalProperties: false,
  },
} as const;

const drainSchema = {
  body: {
    type: 'object',
    properties: { draining: { type: 'boolean' } },
    required: ['draining'],
    additionalProperties: false,
  },
} as const;

interface ById {
  readonly Params: { readonly id: string };
}

/** What an operator asks about agents, and does to them. */
export function addAgentRoutes(server: FastifyInstance, { broker, ledger, clock }: AgentRoutesOptions): void {
  const found = async (id: string): Promise<AgentRow> => {
    const agent = await ledger.agent(id);
    if (agent !== undefined) return agent;
    throw new CoPilotError(
      'NOT_FOUND',
      `no agent ${id} in the ledger; \`co-pilot agent list\` shows those there are`,
    );
  };
  const detail = async (id: string): Promise<AgentDetail> => {
    const agent = await found(id);
    const { nowMs } = await ledger.agents('', 1);
    const { quickFailures, held, verdicts } = agent;
    return { ...summary(agent, nowMs), quickFailures, held, verdicts };
  };
  const summary = (agent: AgentRow, nowMs: number): AgentSummary => {
    const { connected, lastHeardMs } = broker.presence(agent.id);
    const live = agent.held.filter((entry) => entry.live).length;
    return {
      agent: agent.id,
      owner: agent.owner,
      site: agent.site,
      tier: agent.tier,
      status: agent.status,
      place: agent.place,
      connected,
      live,
      unresolved: agent.held.length - live,
      lastHeardSeconds:
        lastHeardMs === undefined ? null : Math.max(0, Math.round((clock.wallMs() - lastHeardMs) / 1000)),
      coolDownSeconds: Math.max(0, Math.ceil((agent.coolUntilMs - nowMs) / 1000)),
    };
  };

  server.get<{ Querystring: { after?: string; limit?: number } }>(
    '/v1/agents',
    { schema: pageSchema },
    async ({ query }): Promise<AgentListing> => {
      const limit = query.limit ?? MAX_PAGE;
      const page = await ledger.agents(query.after ?? '', limit + 1);
      const agents = page.agents.slice(0, limit).map((agent) => summary(agent, page.nowMs));
      const last = agents.at(-1);
      return page.agents.length > limit && last !== undefined ? { agents, next: last.agent } : { agents };
    },
  );
  server.get<ById>('/v1/agents/:id', ({ params }) => detail(params.id));
  server.post<ById & { Body: { draining: boolean } }>(
    '/v1/agents/:id/drain',
    { schema: drainSchema },
    async ({ params, body }) => {
      const { status } = await found(params.id);
      if ((await broker.drain(params.id, body.draining)) === undefined)
        throw new CoPilotError('CONFLICT', `agent ${params.id} is ${status}: it gets no work anyhow`);
      return detail(params.id);
    },
  );
  server.post<ById>('/v1/agents/:id/revoke', async ({ params }) => {
    await found(params.id);
    await broker.revoke(params.id, 'revoked by the operator');
    return { agent: params.id, status: 'revoked' };
  });
}
