import type { CampaignCounts } from '../adapters/jobs/local/queued-job.ts';
import type { Loss } from './losses.ts';

/** What one agent of the fleet does now. */
export interface AgentView {
  readonly name: string;
  readonly isolation: string;
  readonly phase: string;
  readonly job: string;
  readonly attempt: number;
  /** 0 to 1. */
  readonly progress: number;
  readonly committed: number;
}

/** What the person who started the campaign is shown. */
export interface DemoView {
  /** Something worth a line of its own. */
  note(text: string): void;
  campaign(name: string, counts: CampaignCounts): void;
  agent(view: AgentView): void;
  losses(losses: readonly Loss[]): void;
  /** Nothing changes any more: leave the last state on the screen. */
  finish(): void;
}
