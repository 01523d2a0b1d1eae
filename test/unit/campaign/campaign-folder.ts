import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CampaignCheck, checkCampaign } from '../../../cli/campaign/load.ts';

/** A folder with a campaign file and two input files, for one check. */
export async function checkText(text: string | Uint8Array): Promise<CampaignCheck> {
  return inCampaignFolder(text, checkCampaign);
}

export async function inCampaignFolder<T>(
  text: string | Uint8Array,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'co-pilot-campaign-'));
  try {
    await writeFile(join(folder, 'program.mjs'), 'console.log(1)\n', { mode: 0o755 });
    await writeFile(join(folder, 'card.txt'), 'mass=91\n', { mode: 0o644 });
    await writeFile(join(folder, 'campaign.yaml'), text);
    return await use(join(folder, 'campaign.yaml'));
  } finally {
    await rm(folder, { recursive: true });
  }
}
