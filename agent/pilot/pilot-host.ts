import type { Output, Part, Parts } from '../../protocol/generated/types.ts';
import type { Answer } from '../loop/asks.ts';

/** Asks the job's adapter; one question at a time. */
export type CallAdapter = (
  method: string,
  body: string,
  signal: AbortSignal,
) => Promise<Answer<{ readonly body: string }>>;

/** Takes parts of the job, or finishes some. */
export type AskParts = (
  verb: Parts['verb'],
  ids: readonly string[],
  signal: AbortSignal,
) => Promise<Answer<{ readonly parts: readonly Part[] }>>;

/** What of a running job the desk must know: whose a connection is. */
export interface Caller {
  holdsSocket(inode: number): boolean;
}

export interface DeskRequest {
  /** The job's own directory, with its inputs in it. */
  readonly directory: string;
  readonly isPilot: boolean;
  readonly hasParts: boolean;
  readonly call: CallAdapter;
  readonly parts: AskParts;
}

/** What one job in pilot mode, or with parts, has while it runs. */
export interface PilotDesk {
  /** Variables the job needs, whatever the description says. */
  readonly environment: Readonly<Record<string, string>>;
  /** From now on the job's processes are answered, and nobody else; before that nobody is. */
  admit(caller: Caller): void;
  /** No question is asked once this resolves. Repeating it is harmless. */
  close(): Promise<void>;
  /** Moves what a pilot staged out to where declared outputs are collected, after the job's end; answers why it could not. */
  gather(outputs: readonly Output[]): Promise<string | undefined>;
}

/** Opens desks for jobs that ask their adapter while they run. */
export interface PilotHost {
  open(request: DeskRequest): Promise<PilotDesk>;
}
