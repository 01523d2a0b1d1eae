import type { AlienJob } from './central.ts';
import type { OutputPlan, PlannedOutput } from './output-plan.ts';
import type { SealedState } from './sealed-state.ts';

/** What the adapter gives with a job and gets back with every call about it. */
export interface JobState {
  readonly job: AlienJob;
  readonly outputs: OutputPlan;
}

/** Throws `INVALID_REQUEST` where the outputs are more than a job can carry. */
export function sealState(sealed: SealedState, { job, outputs }: JobState): string {
  return sealed.seal([
    1,
    job.id,
    job.token,
    job.user,
    job.ce,
    outputs.directory,
    outputs.outputs,
    outputs.onError,
  ]);
}

/** Undefined for what this adapter did not give. */
export function openState(sealed: SealedState, text: string): JobState | undefined {
  const value = sealed.open(text);
  if (!Array.isArray(value) || value[0] !== 1) return undefined;
  // Sealed by us alone: what it holds is what `sealState` put there.
  const [, id, token, user, ce, directory, outputs, onError] = value as [
    1,
    string,
    string,
    string,
    string,
    string,
    readonly PlannedOutput[],
    readonly PlannedOutput[],
  ];
  return { job: { id, token, user, ce }, outputs: { directory, outputs, onError } };
}
