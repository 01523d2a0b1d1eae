import type { Description, File, Usage } from '../../../protocol/generated/types.ts';
import { isAnswers, isAsk } from '../../../protocol/generated/validators.js';

const ANY_ID = 'a'.repeat(26);

/** Whether JSON read back is a description; the contract's own validator judges, inside the message it belongs to. */
export function isDescription(value: unknown): value is Description {
  const job = {
    job: ANY_ID,
    ref: '',
    owner: 'a',
    site: 'a',
    campaign: 'a',
    priority: 0,
    retries: 0,
    description: value,
  };
  return isAnswers({ kind: 'answers', items: [{ result: 'jobs', item: 1, jobs: [job], more: false }] });
}

/** Whether JSON read back is what a finished attempt left. */
export function isOutcome(value: {
  readonly manifest: unknown;
  readonly usage: unknown;
}): value is { readonly manifest: readonly File[]; readonly usage: Usage } {
  const item = {
    op: 'finished',
    item: 1,
    job: ANY_ID,
    attempt: 1,
    manifest: value.manifest,
    usage: value.usage,
  };
  return isAsk({ kind: 'ask', items: [item] });
}
