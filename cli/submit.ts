import { newId } from '../protocol/encoding.ts';
import { nodeRandom } from '../protocol/runtime/node-runtime.ts';
import type { Campaign } from './campaign/campaign.ts';
import { expand, uploadsOf } from './campaign/expand.ts';
import type { Connection } from './connection.ts';

export interface SubmittedCampaign {
  /** The campaign's name with this submission's own ending: the same file may be submitted again. */
  readonly campaign: string;
  readonly jobs: readonly string[];
}

const UPLOADS_AT_ONCE = 4;
const MAX_NAME = 64;

/** How far the uploads are. */
export type OnUploaded = (done: UploadsDone) => void;

export interface UploadsDone {
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
}

/** Uploads the inputs, then submits every job of the campaign under one key. */
export async function submitCampaign(
  { queue, results }: Connection,
  campaign: Campaign,
  owner: string,
  onUploaded: OnUploaded = () => undefined,
): Promise<SubmittedCampaign> {
  const jobs = expand(campaign);
  const uploads = [...uploadsOf(campaign, jobs)];
  const filesTotal = uploads.length;
  const bytesTotal = uploads.reduce((sum, { size }) => sum + size, 0);
  let files = 0;
  let bytes = 0;
  const upload = async (): Promise<void> => {
    for (let next = uploads.pop(); next !== undefined; next = uploads.pop()) {
      await results.put(next);
      files += 1;
      bytes += next.size;
      onUploaded({ files, filesTotal, bytes, bytesTotal });
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, upload));
  const key = newId(nodeRandom);
  const name = `${campaign.name.slice(0, MAX_NAME - 7)}-${key.slice(0, 6)}`;
  const submitted = await queue.submit({
    key,
    queue: campaign.queue,
    campaign: name,
    owner,
    jobs: jobs.map(({ label, priority, retries, description }) => ({
      label,
      priority,
      retries,
      description,
    })),
  });
  return { campaign: name, jobs: submitted.jobs };
}
