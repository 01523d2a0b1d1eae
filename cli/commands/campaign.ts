import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Paced } from '../../adapters/jobs/local/campaign-routes.ts';
import type { CampaignSummary } from '../../adapters/jobs/local/queued-job.ts';
import { cancelCampaign, type CancelCampaignOptions } from './cancel-campaign.ts';
import { EXIT, type Output, show } from '../command-line.ts';
import { connect } from '../connection.ts';
import type { ControlClient } from '../control-client.ts';
import { ageText, rateText } from '../display/pace.ts';
import { durationText } from '../display/progress.ts';
import { safeLine } from '../display/safe-text.ts';
import { type Listing, showListing } from '../listing.ts';
import { queueChanges } from '../watch.ts';
import {
  action,
  type CommonOptions,
  type ListOptions,
  outputOf,
  watchUntilInterrupted,
  withCommon,
  withList,
} from './common.ts';
import { addCampaignFetchCommand } from './fetch.ts';
import { addSubmitCommand } from './submit.ts';

/** A campaign with what a person wants to know of it. */
interface CampaignView extends Paced<CampaignSummary> {
  /** Null where the pace is not known or the campaign is paused. */
  readonly leftSeconds: number | null;
}

/** `co-pilot campaign …`: many jobs as one thing. */
export function addCampaignCommands(program: Command): void {
  const campaign = program.command('campaign').description('submit, watch, pause and fetch campaigns');
  addSubmitCommand(campaign);
  withList(campaign.command('list'))
    .description('list campaigns with their counts and pace')
    .action(action(list));
  withList(campaign.command('show').argument('<campaign>'))
    .description('how far a campaign is; with --watch until it has ended')
    .action(action(showCampaign));
  withCommon(campaign.command('pause').argument('<campaign>'))
    .description('hand no more of its jobs to the broker; what the broker has goes on')
    .action(action((name: string, options: CommonOptions) => hold(name, options, 'pause')));
  withCommon(campaign.command('resume').argument('<campaign>'))
    .description('take a pause back')
    .action(action((name: string, options: CommonOptions) => hold(name, options, 'resume')));
  withCommon(campaign.command('cancel').argument('<campaign>'))
    .description('end all of its jobs that have no result yet')
    .option('--dry-run', 'only say what would be cancelled')
    .action(action((name: string, options: CancelCampaignOptions) => cancelCampaign(name, options)));
  addCampaignFetchCommand(campaign);
}

async function list(options: ListOptions): Promise<number> {
  const output = outputOf(options);
  const { queue } = await connect(resolve(options.data));
  const look = async (): Promise<Listing<CampaignView>> => listing(await allCampaigns(queue));
  if (options.watch === true) return follow(output, queue, undefined, { look });
  showListing(output, await look());
  return EXIT.ok;
}

async function allCampaigns(queue: ControlClient): Promise<readonly CampaignView[]> {
  const campaigns: CampaignView[] = [];
  let after: string | undefined;
  do {
    const page = await queue.campaigns(after);
    campaigns.push(...page.campaigns.map(viewOf));
    after = page.next;
  } while (after !== undefined);
  return campaigns;
}

async function showCampaign(name: string, options: ListOptions): Promise<number> {
  const output = outputOf(options);
  const { queue } = await connect(resolve(options.data));
  const look = async (): Promise<CampaignView> => viewOf(await queue.campaign(name));
  if (options.watch === true)
    return follow(output, queue, name, {
      look: async () => listing([await look()]),
      isOver: ([campaign]) => campaign !== undefined && openOf(campaign) === 0,
    });
  const campaign = await look();
  show(output, campaign, () => campaignLines(campaign));
  return EXIT.ok;
}

function follow(
  output: Output,
  queue: ControlClient,
  campaign: string | undefined,
  watched: {
    readonly look: () => Promise<Listing<CampaignView>>;
    readonly isOver?: (items: readonly CampaignView[]) => boolean;
  },
): Promise<number> {
  return watchUntilInterrupted(output, {
    ...watched,
    changes: (until) => queueChanges(queue, campaign, until),
  });
}

async function hold(name: string, options: CommonOptions, verb: 'pause' | 'resume'): Promise<number> {
  const { queue } = await connect(resolve(options.data));
  const campaign = viewOf(await queue[verb](name));
  show(outputOf(options), campaign, () => [holdText(campaign)]);
  return EXIT.ok;
}

function holdText(view: CampaignView): string {
  const { campaign, states, paused } = view;
  if (!paused) return `${campaign} goes on: ${states.pending} jobs wait to be handed over`;
  const withBroker = states.handed + states.accepted + states.running;
  return `${campaign} is paused: ${states.pending} jobs stay here; ${withBroker} that the broker has go on, ${states.running} of them running`;
}

function viewOf(campaign: Paced<CampaignSummary>): CampaignView {
  const { finishedPerMinute: pace, paused } = campaign;
  const left = openOf(campaign);
  const leftSeconds = pace === null || paused ? null : Math.round((left / pace) * 60);
  return { ...campaign, leftSeconds: left === 0 ? 0 : leftSeconds };
}

/** Jobs that have not ended. */
function openOf({ states }: Pick<CampaignSummary, 'states'>): number {
  return states.pending + states.handed + states.accepted + states.running;
}

function listing(items: readonly CampaignView[]): Listing<CampaignView> {
  return {
    name: 'campaigns',
    items,
    header: ['CAMPAIGN', 'OWNER', 'QUEUE', 'WAITING', 'RUNNING', 'FINISHED', 'FAILED', 'AGE', 'RATE', 'LEFT'],
    row: (view) => {
      const { campaign, owner, queue, states, submittedMs } = view;
      return [
        ...[campaign, owner, queue, String(states.pending + states.handed + states.accepted)],
        ...[String(states.running), String(states.finished), String(states.failed)],
        ...[ageText((Date.now() - submittedMs) / 1000), paceText(view), leftText(view)],
      ];
    },
    key: ({ campaign }) => campaign,
  };
}

function campaignLines(view: CampaignView): readonly string[] {
  const { campaign, queue, owner, states, total, retried, submittedMs } = view;
  return [
    `campaign  ${campaign} of ${owner} in queue ${queue}`,
    `state     ${view.paused ? 'paused' : openOf(view) === 0 ? 'ended' : 'under way'}`,
    `jobs      ${total}${retried === 0 ? '' : `, ${retried} of them tried again under another id`}`,
    `waiting   ${states.pending} here, ${states.handed} handed over, ${states.accepted} at the broker`,
    `running   ${states.running}`,
    `ended     ${states.finished} finished, ${states.failed} failed, ${states.cancelled} cancelled`,
    `age       ${ageText((Date.now() - submittedMs) / 1000)}`,
    `pace      ${paceText(view) || 'not known yet'}${leftText(view) === '' ? '' : `, about ${leftText(view)} left`}`,
  ].map(safeLine);
}

function paceText({ finishedPerMinute, paused }: CampaignView): string {
  if (paused) return 'paused';
  return finishedPerMinute === null ? '' : `${rateText(finishedPerMinute)}/min`;
}

function leftText({ leftSeconds }: CampaignView): string {
  return leftSeconds === null || leftSeconds === 0 ? '' : durationText(leftSeconds * 1000);
}
