import type { Output } from '../../protocol/generated/types.ts';
import type { Answer } from '../loop/asks.ts';

/** Asks the job's adapter; one question at a time. */
export type AskAdapter = (
  method: string,
  body: string,
  signal: AbortSignal,
) => Promise<Answer<{ readonly body: string }>>;

/** What of a running job the desk must know: whose a connection is. */
export interface Caller {
  holdsSocket(inode: number): boolean;
}

export interface DeskRequest {
  /** The job's own directory, with its inputs in it. */
  readonly directory: string;
  readonly ask: AskAdapter;
}

/** What one job in pilot mode has while it runs. */
export interface PilotDesk {
  /** Variables the pilot needs, whatever the description says. */
  readonly environment: Readonly<Record<string, string>>;
  /** From now on the job's processes are answered, and nobody else; before that nobody is. */
  admit(caller: Caller): void;
  /** No question is asked once this resolves. Repeating it is harmless. */
  close(): Promise<void>;
  /** Moves what the pilot staged out to where declared outputs are collected, after the job's end; answers why it could not. */
  gather(outputs: readonly Output[]): Promise<string | undefined>;
}

/** Opens desks for jobs whose program is a framework's own pilot. */
export interface PilotHost {
  open(request: DeskRequest): Promise<PilotDesk>;
}
