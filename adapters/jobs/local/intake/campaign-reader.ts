import type { SubmittedJob } from '../queued-job.ts';

/** A campaign that was found right. */
export interface ReadCampaign {
  readonly name: string;
  readonly queue: string;
  readonly jobs: readonly SubmittedJob[];
  /** What must be stored before the jobs, each once. */
  readonly uploads: readonly CampaignUpload[];
}

export type CampaignUpload =
  | { readonly kind: 'file'; readonly sha256: string; readonly size: number; readonly path: string }
  | { readonly kind: 'content'; readonly sha256: string; readonly size: number; readonly content: string };

/** Reads campaign files (docs/job-author.md). What is wrong with one is `INVALID_CAMPAIGN`, with line and column. */
export interface CampaignReader {
  /** The input files a campaign names, as it names them; none of them is looked at. */
  inputsOf(path: string): Promise<readonly string[]>;
  /** Reads it with its inputs, which lie beside it. */
  read(path: string): Promise<ReadCampaign>;
}
