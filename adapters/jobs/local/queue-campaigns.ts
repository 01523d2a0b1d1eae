import { CoPilotError } from '../../../protocol/errors.ts';
import { isFinal, type LocalState, wantsKill } from './job-state.core.ts';
import { cancelJob } from './queue-report.ts';
import { noteChange, type QueueStore, storedJob } from './queue-store.ts';
import { countCampaign, countQueue, pageRows } from './queue-view.ts';
import type { CampaignPage, CampaignSummary, CancelledPage, QueueSummary, StoredJob } from './queued-job.ts';
import { numberColumn, textColumn } from './row-reader.ts';

/** Most campaigns of one page. */
export const MAX_CAMPAIGN_PAGE = 500;

/** Most queues that are listed; their names are the operator's. */
const MAX_QUEUES = 1000;

export function listCampaigns(store: QueueStore, after: string, limit: number): CampaignPage {
  const wanted = Math.max(1, Math.min(MAX_CAMPAIGN_PAGE, limit));
  const names = namesOf(store, 'campaign', after, wanted + 1);
  const campaigns = names.slice(0, wanted).flatMap((name) => summarise(store, name) ?? []);
  const last = names[wanted - 1];
  return names.length > wanted && last !== undefined ? { campaigns, next: last } : { campaigns };
}

/** Undefined where the queue never had a job of that campaign. */
export function summarise(store: QueueStore, campaign: string): CampaignSummary | undefined {
  const counts = countCampaign(store, campaign);
  const first = store.statements.firstOfCampaign.get(campaign);
  if (counts === undefined || first === undefined) return undefined;
  const { queue, owner, submittedMs } = storedJob(first);
  const paused = store.statements.paused.get(campaign) !== undefined;
  return { ...counts, queue, owner, submittedMs, paused };
}

export function listQueues(store: QueueStore): readonly QueueSummary[] {
  return namesOf(store, 'queue', '', MAX_QUEUES).flatMap((queue) => {
    const states = countQueue(store, queue);
    const oldest = store.statements.oldestWaiting.get(queue);
    const oldestWaitingMs = oldest === undefined ? null : numberColumn(oldest, 'submitted_ms');
    return states === undefined ? [] : [{ queue, states, oldestWaitingMs }];
  });
}

/** From now on no pending job of the campaign is handed over, those included that are submitted later. Throws `NOT_FOUND`. */
export function pauseCampaign(store: QueueStore, campaign: string): CampaignSummary {
  mustSummarise(store, campaign);
  store.statements.pause.run(campaign, Math.floor(store.clock.wallMs()));
  return mustSummarise(store, campaign);
}

/** Throws `NOT_FOUND`. */
export function resumeCampaign(store: QueueStore, campaign: string): CampaignSummary {
  mustSummarise(store, campaign);
  const { changes } = store.statements.resume.run(campaign);
  const waiting = store.statements.firstPending.get(campaign);
  if (Number(changes) > 0 && waiting !== undefined) {
    const job = storedJob(waiting);
    noteChange(store, job, job.progress);
  }
  return mustSummarise(store, campaign);
}

export interface Cancellation {
  readonly page: CancelledPage;
  /** The broker is to end these. */
  readonly unwanted: readonly StoredJob[];
}

/** Cancels what has no result yet of the next jobs of a campaign, or of those in one state. */
export function cancelCampaign(
  store: QueueStore,
  campaign: string,
  filter: { readonly state?: LocalState; readonly after: number; readonly limit: number },
): Cancellation {
  mustSummarise(store, campaign);
  const rows = pageRows(store, { campaign, ...filter }, filter.limit).map(storedJob);
  const jobs = rows.filter(({ progress }) => !isFinal(progress)).map(({ id }) => cancelJob(store, id));
  const unwanted = jobs.filter(({ progress }) => wantsKill(progress) && !isFinal(progress));
  const counts = { cancelled: jobs.length - unwanted.length, cancelling: unwanted.length };
  const last = rows.at(-1);
  const page = rows.length < filter.limit || last === undefined ? counts : { ...counts, next: last.seq };
  return { page, unwanted };
}

function mustSummarise(store: QueueStore, campaign: string): CampaignSummary {
  const found = summarise(store, campaign);
  if (found !== undefined) return found;
  throw new CoPilotError('NOT_FOUND', noSuchCampaign(campaign));
}

/** What to say of a campaign that is not there, with the next step. */
export function noSuchCampaign(campaign: string): string {
  return `no job of a campaign ${campaign} in the local queue; \`co-pilot campaign list\` shows those there are`;
}

function namesOf(
  store: QueueStore,
  scope: 'campaign' | 'queue',
  after: string,
  limit: number,
): readonly string[] {
  return store.statements.names.all(scope, after, limit).map((row) => textColumn(row, 'name'));
}
