import type { Description, HostAd } from '../../protocol/generated/types.ts';

/** A job the suite wants in the broker's queue. */
export interface WantedJob {
  readonly description: Description;
  /** Contents of the inputs the description names. */
  readonly inputs: readonly { readonly name: string; readonly content: Uint8Array }[];
  readonly retries: number;
}

/** A job that waits in the queue; only a host with this ad meets its requirements. */
export interface SubmittedJob {
  readonly id: string;
  readonly ad: HostAd;
}

/** A broker that is tested, and what its operator lends the suite. */
export interface BrokerSubject {
  /** The bus; where it is left out, the first the enrolment names. */
  readonly address?: string;
  /** Three one-use codes that nobody has used. */
  readonly codes: readonly string[];
  /** Puts a job into a queue with a short lease, and answers its id. */
  submit(job: WantedJob, signal: AbortSignal): Promise<string>;
  /** Cancels a job where its framework has it. */
  cancel?(job: string, signal: AbortSignal): Promise<void>;
  /** Takes an agent out for good. */
  revoke?(agent: string, signal: AbortSignal): Promise<void>;
  /** Ends the broker and starts it again; resolves when it is back. */
  restart?(signal: AbortSignal): Promise<void>;
}

/** What a subject may lack, and why cases that need it then do not apply. */
export const CAPABILITIES = {
  cancel: 'no way to cancel a job was given (--cancel)',
  revoke: 'no way to revoke an agent was given (--revoke)',
  restart: 'no way to restart the broker was given (--restart)',
} as const;
