import type { SubmittedJob } from '../../adapters/jobs/local/queued-job.ts';
import type { Limits } from '../../protocol/generated/types.ts';

/** Largest campaign file. */
export const MAX_FILE_BYTES = 256 * 1024;

/** Most jobs one campaign file stands for. */
export const MAX_JOBS = 100_000;

/** Most bytes of inline content that all jobs of a campaign have together. */
export const MAX_INLINE_BYTES = 64 * 1024 * 1024;

/** Most bytes that all descriptions of a campaign take together, as JSON. */
export const MAX_TOTAL_DESCRIPTION_BYTES = 256 * 1024 * 1024;

/** Which queue jobs wait in where the file names none. */
export const DEFAULT_QUEUE = 'main';

/** A campaign file that was found right: texts still hold `${name}`, files have been read and hashed. */
export interface Campaign {
  readonly file: string;
  readonly name: string;
  readonly queue: string;
  readonly priority: number;
  readonly retries: number;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: readonly NamedText[];
  readonly inputs: readonly CampaignInput[];
  readonly outputs: readonly CampaignOutput[];
  readonly limits: Limits;
  readonly requirements: string;
  readonly parameters: readonly Parameter[];
}

export interface NamedText {
  readonly name: string;
  readonly text: string;
}

export type CampaignInput = InputFile | InputContent;

export interface InputFile {
  readonly kind: 'file';
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
  readonly executable: boolean;
}

export interface InputContent {
  readonly kind: 'content';
  readonly name: string;
  readonly content: string;
  readonly executable: boolean;
}

export interface CampaignOutput {
  readonly name: string;
  readonly optional: boolean;
  readonly maxBytes: number | undefined;
}

/** A name with the values it takes, as they were written. */
export interface Parameter {
  readonly name: string;
  readonly values: readonly string[];
}

/** One job of a campaign, ready for a queue, with the inline files it needs uploaded first. */
export interface JobSpec extends SubmittedJob {
  readonly contents: readonly InlineFile[];
}

export interface InlineFile {
  readonly sha256: string;
  readonly content: string;
}
