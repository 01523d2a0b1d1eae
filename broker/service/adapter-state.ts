import type { JobRow } from '../core/state.ts';
import type { AskBody } from '../../protocol/session/trusted-link.ts';

type AboutJob = Extract<AskBody, { readonly state?: string }>;

/** An item about a job with what its adapter gave along with it (T-23). */
export function withState<B extends AboutJob>({ adapterState }: Pick<JobRow, 'adapterState'>, body: B): B {
  return adapterState === '' ? body : { ...body, state: adapterState };
}
