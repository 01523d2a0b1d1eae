import { resolve } from 'node:path';
import type { LocalState } from '../../adapters/jobs/local/job-state.core.ts';
import { type CommonOptions, outputOf } from './common.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { EXIT, show } from '../command-line.ts';
import { connect } from '../connection.ts';
import { countText } from '../display/pace.ts';
import { standardProgress } from './standard-progress.ts';

export interface CancelCampaignOptions extends CommonOptions {
  readonly state?: LocalState | undefined;
  readonly dryRun?: boolean;
}

const FINAL: readonly LocalState[] = ['finished', 'failed', 'cancelled'];
const AT_ONCE: readonly LocalState[] = ['pending', 'handed'];

/** Cancels what has no result yet of a campaign, or of its jobs in one state; with `dryRun` only counts it. */
export async function cancelCampaign(campaign: string, options: CancelCampaignOptions): Promise<number> {
  const output = outputOf(options);
  const { queue } = await connect(resolve(options.data));
  const { states } = await queue.campaign(campaign);
  const open = (Object.entries(states) as [LocalState, number][]).filter(
    ([state]) => !FINAL.includes(state) && (options.state ?? state) === state,
  );
  const total = open.reduce((sum, [, count]) => sum + count, 0);
  if (options.dryRun === true) {
    const cancelled = open.reduce((sum, [state, count]) => sum + (AT_ONCE.includes(state) ? count : 0), 0);
    const counts = { campaign, cancelled, cancelling: total - cancelled, dryRun: true };
    show(output, counts, () => [
      `${cancelled} jobs would be cancelled at once, ${total - cancelled} when the broker says so`,
    ]);
    return EXIT.ok;
  }
  const progress = standardProgress(output.quiet);
  const startedMs = nodeClock.monotonicMs();
  let cancelled = 0;
  let cancelling = 0;
  let after: number | undefined = 0;
  while (after !== undefined) {
    const page = await queue.cancelPage(campaign, options.state, after);
    cancelled += page.cancelled;
    cancelling += page.cancelling;
    after = page.next;
    const done = cancelled + cancelling;
    const minutes = (nodeClock.monotonicMs() - startedMs) / 60_000;
    progress.update(countText('jobs cancelled', done, total, minutes > 0 ? done / minutes : null));
  }
  progress.end();
  show(output, { campaign, cancelled, cancelling }, () => [
    `${cancelled} jobs are cancelled, ${cancelling} end when the broker says so`,
  ]);
  return EXIT.ok;
}
