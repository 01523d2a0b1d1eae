import type { CampaignCounts } from '../adapters/jobs/local/queued-job.ts';
import type { DemoView } from './demo-view.ts';

/** Lines of JSON for programs: everything the display shows, as it happens. */
export function createJsonView(write: (line: string) => void): DemoView {
  const say = (kind: string, value: object): void => write(JSON.stringify({ kind, ...value }));
  return {
    note: (text) => say('note', { text }),
    campaign: (campaign, counts: CampaignCounts) => say('campaign', { ...counts, campaign }),
    agent: (view) => say('agent', view),
    losses: (losses) => say('losses', { losses }),
    finish: () => undefined,
  };
}
