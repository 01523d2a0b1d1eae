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

/** Jobs set aside or given back in one transaction: between two, whatever else is asked has its turn. */
const HELD_AT_ONCE = 5_000;

/** Begins a pause: jobs submitted from now on are held. Throws `NOT_FOUND`. */
export function beginPause(store: QueueStore, campaign: string): void {
  mustSummarise(store, campaign);
  store.statements.pause.run(campaign, Math.floor(store.clock.wallMs()));
}

/** Sets aside some more of a paused campaign's jobs; false once none is left, or it was resumed meanwhile. */
export function holdMore(store: QueueStore, campaign: string): boolean {
  if (store.statements.paused.get(campaign) === undefined) return false;
  return Number(store.statements.hold.run(campaign, 1, HELD_AT_ONCE).changes) === HELD_AT_ONCE;
}

/** Gives back some more of a campaign's jobs; with the last of them the pause ends, and this is false. Throws `NOT_FOUND`. */
export function giveBackMore(store: QueueStore, campaign: string): boolean {
  mustSummarise(store, campaign);
  if (Number(store.statements.hold.run(campaign, 0, HELD_AT_ONCE).changes) === HELD_AT_ONCE) return true;
  const { changes } = store.statements.resume.run(campaign);
  const waiting = store.statements.firstPending.get(campaign);
  if (Number(changes) > 0 && waiting !== undefined) {
    const job = storedJob(waiting);
    noteChange(store, job, job.progress);
  }
  return false;
}

/** Ends what a pause that was cut short has begun. */
export function holdWhatIsPaused(store: QueueStore): void {
  let row = store.statements.nextPaused.get('');
  while (row !== undefined) {
    const campaign = textColumn(row, 'campaign');
    while (holdMore(store, campaign));
    row = store.statements.nextPaused.get(campaign);
  }
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

/** Throws `NOT_FOUND`. */
export function mustSummarise(store: QueueStore, campaign: string): CampaignSummary {
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
