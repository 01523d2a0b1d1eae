import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { CoPilotError } from '../../../../protocol/errors.ts';
import type { LocalQueue } from '../local-queue.ts';
import type { CampaignUpload, ReadCampaign } from './campaign-reader.ts';
import type { InputStore } from './input-store.ts';

export interface SubmittedDrop {
  readonly campaign: string;
  readonly owner: string;
  readonly jobs: readonly string[];
  /** The very same campaign of this owner was here before: nothing was added. */
  readonly repeated: boolean;
}

const MAX_AT_ONCE = 10_000;
const MAX_NAME = 64;
const SUFFIX = 8;

/**
 * Stores the inputs, then submits the jobs under keys made from owner and content: however often it is done, they are submitted once.
 * Rejects as the store and the queue do.
 */
export async function submitDrop(
  { queue, inputs }: { readonly queue: LocalQueue; readonly inputs: InputStore | undefined },
  owner: string,
  read: ReadCampaign,
): Promise<SubmittedDrop> {
  if (read.uploads.length > 0 && inputs === undefined)
    throw new CoPilotError(
      'INVALID_REQUEST',
      'this queue stores no inputs: it does not know the bridge (intake.bridge.url and secrets.operatorToken); use a campaign without inputs',
    );
  for (const upload of read.uploads) await inputs?.put(upload.sha256, upload.size, bodyOf(upload));
  const { name, queue: queueName, jobs } = read;
  const digest = createHash('sha256').update(JSON.stringify({ owner, name, queueName, jobs })).digest('hex');
  const campaign = `${name.slice(0, MAX_NAME - SUFFIX - 1)}-${digest.slice(0, SUFFIX)}`;
  const ids: string[] = [];
  let repeated = true;
  for (let from = 0; from < jobs.length; from += MAX_AT_ONCE) {
    const submitted = await queue.submit({
      key: `directory/${digest}/${from}`,
      queue: queueName,
      campaign,
      owner,
      jobs: jobs.slice(from, from + MAX_AT_ONCE),
    });
    ids.push(...submitted.jobs);
    repeated &&= submitted.repeated;
  }
  return { campaign, owner, jobs: ids, repeated };
}

function bodyOf(upload: CampaignUpload): Readable {
  return upload.kind === 'file'
    ? createReadStream(upload.path)
    : Readable.from([Buffer.from(upload.content)]);
}
