import type { CampaignReader } from '../../adapters/jobs/local/intake/campaign-reader.ts';
import { expand, uploadsOf } from './expand.ts';
import { loadCampaign, namedInputs } from './load.ts';

/** Campaign files as the local queue's watched directory reads them. */
export const dropReader: CampaignReader = {
  inputsOf: namedInputs,
  async read(path) {
    const campaign = await loadCampaign(path);
    const jobs = expand(campaign);
    return {
      name: campaign.name,
      queue: campaign.queue,
      jobs: jobs.map(({ label, priority, retries, description }) => ({
        label,
        priority,
        retries,
        description,
      })),
      uploads: uploadsOf(campaign, jobs),
    };
  },
};
