import { userInfo } from 'node:os';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { CampaignCounts } from '../../adapters/jobs/local/queued-job.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { EXIT, show } from '../command-line.ts';
import { connect } from '../connection.ts';
import { countText, transferText } from '../display/pace.ts';
import { waitForCampaign } from '../wait.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';
import { standardProgress } from './standard-progress.ts';

type Campaigns = Pick<typeof import('../campaign/load.ts'), 'loadCampaign'> &
  Pick<typeof import('../submit.ts'), 'submitCampaign'>;

interface SubmitOptions extends CommonOptions {
  readonly wait?: boolean;
}

/** `job submit` and `campaign submit` are one. */
export function addSubmitCommand(parent: Command): void {
  withCommon(parent.command('submit').argument('<campaign.yaml>', 'what to run (docs/job-author.md)'))
    .description('submit every job of a campaign file')
    .option('--wait', 'wait until all jobs ended; exit 1 if one failed')
    .action(action(submit));
}

async function submit(file: string, options: SubmitOptions): Promise<number> {
  const output = outputOf(options);
  const { loadCampaign, submitCampaign } = await campaigns();
  const campaign = await loadCampaign(resolve(file));
  const connection = await connect(resolve(options.data));
  const progress = standardProgress(output.quiet);
  const startedMs = nodeClock.monotonicMs();
  const submitted = await submitCampaign(connection, campaign, ownerName(), (done) =>
    progress.update(
      `uploading: ${transferText({ ...done, moved: done.bytes, elapsedMs: nodeClock.monotonicMs() - startedMs })}`,
    ),
  ).finally(() => progress.end());
  if (options.wait !== true) {
    show(output, submitted, () => [
      `submitted ${submitted.jobs.length} jobs as campaign ${submitted.campaign}`,
    ]);
    return EXIT.ok;
  }
  output.note(`submitted ${submitted.jobs.length} jobs as campaign ${submitted.campaign}; waiting`);
  const sinceMs = nodeClock.monotonicMs();
  const counts = await waitForCampaign(connection.queue, submitted.campaign, (now) =>
    progress.update(waitText(now, nodeClock.monotonicMs() - sinceMs)),
  ).finally(() => progress.end());
  show(output, { ...submitted, counts }, () => [countsLine(counts)]);
  return counts.states.finished === counts.total - counts.retried ? EXIT.ok : EXIT.failed;
}

/** Loaded when something is submitted: no other command of jobs and campaigns waits for it. */
async function campaigns(): Promise<Campaigns> {
  const [{ loadCampaign }, { submitCampaign }] = await Promise.all([
    import('../campaign/load.ts'),
    import('../submit.ts'),
  ]);
  return { loadCampaign, submitCampaign };
}

function waitText({ states, total, retried }: CampaignCounts, elapsedMs: number): string {
  const ended = states.finished + states.failed + states.cancelled;
  const perMinute = elapsedMs > 0 && ended > 0 ? ended / (elapsedMs / 60_000) : null;
  return `${countText('jobs ended', ended, total - retried, perMinute)}; ${states.running} running`;
}

function countsLine({ states, total }: CampaignCounts): string {
  const ended = states.finished + states.failed + states.cancelled;
  return `${ended} of ${total} ended: ${states.finished} finished, ${states.failed} failed, ${states.cancelled} cancelled; ${states.running} running`;
}

/** Owner names travel in the protocol: what the system calls the user, reduced to the letters it allows. */
function ownerName(): string {
  const name = userInfo()
    .username.toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '');
  return name === '' ? 'user' : name.slice(0, 64);
}
