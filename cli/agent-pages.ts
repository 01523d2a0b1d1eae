import type { AgentListing, AgentSummary } from '../broker/http/agent-routes.ts';
import { askBroker } from './connection.ts';

/** Agents that the broker of an installation knows, page by page. Rejects with `UNREACHABLE` where it does not run. */
export async function* agentPages(directory: string): AsyncGenerator<readonly AgentSummary[]> {
  let after: string | undefined;
  do {
    const query: string = after === undefined ? '' : `?after=${encodeURIComponent(after)}`;
    const page: AgentListing = await askBroker(directory, 'GET', `/v1/agents${query}`);
    yield page.agents;
    after = page.next;
  } while (after !== undefined);
}
