import { fitted, plainText, type Segment, type Style, styledLine } from './line.ts';
import { durationText, isOver, paceText } from './progress.ts';
import type { Activity, AgentStatus, CampaignProgress, DisplayState, LostAttempt } from './state.ts';

const MAX_AGENTS = 16;
const MAX_LOST = 6;
const MAX_EVENTS = 5;
const MIN_COLUMNS = 40;
const NAME_COLUMNS = 14;
const ISOLATION_COLUMNS = 10;
const DONE_COLUMNS = 4;
const JOB_COLUMNS = 18;
const JOB_BAR_COLUMNS = 10;
const AGAIN_COLUMNS = 28;

/** A screen of a running campaign: lines of at most `columns` columns, laid out for 40 or more. The same state gives the same screen. */
export function render(state: DisplayState, columns: number, colour: boolean): string[] {
  const width = Math.max(MIN_COLUMNS, columns);
  const lines: readonly (readonly Segment[])[] = [
    campaignLine(state.campaign, width),
    paceLine(state),
    [],
    ...agentLines(state),
    ...lostLines(state),
    ...eventLines(state),
  ];
  return lines.map((segments) => styledLine(segments, columns, colour));
}

function campaignLine(campaign: CampaignProgress, width: number): readonly Segment[] {
  const { finished, failed, cancelled, total } = campaign;
  const name = fitted(plainText(campaign.name), Math.min(24, plainText(campaign.name).length));
  const percent = total === 0 ? 100 : Math.floor((100 * finished) / total);
  const done = String(finished).padStart(String(total).length);
  const count = `  ${done}/${total} jobs  ${String(percent).padStart(3)}%`;
  const bar = Math.max(5, width - name.length - count.length - 2);
  const share = (jobs: number): number => (total === 0 ? 0 : Math.floor((bar * jobs) / total));
  const good = share(finished);
  const bad = Math.min(bar - good, failed + cancelled > 0 ? Math.max(1, share(failed + cancelled)) : 0);
  return [
    { text: `${name}  `, style: 'bold' },
    { text: '█'.repeat(good), style: 'green' },
    { text: '▒'.repeat(bad), style: 'red' },
    { text: '░'.repeat(bar - good - bad), style: 'dim' },
    { text: count, style: 'bold' },
  ];
}

function paceLine({ campaign, elapsedMs }: DisplayState): readonly Segment[] {
  const { running, waiting, failed, cancelled } = campaign;
  const text = isOver(campaign) ? 'all jobs are done' : `${running} running, ${waiting} waiting`;
  const trouble: Segment = { text: failed === 0 ? '' : `, ${failed} failed`, style: 'red' };
  const ended: Segment = { text: cancelled === 0 ? '' : `, ${cancelled} cancelled`, style: 'yellow' };
  return [{ text: `${durationText(elapsedMs)}  ${paceText(campaign, elapsedMs)}  ${text}` }, trouble, ended];
}

function agentLines({ agents, campaign }: DisplayState): readonly (readonly Segment[])[] {
  if (agents.length === 0) return [[{ text: 'no agent yet', style: 'yellow' }]];
  const heading = `${fitted('agent', NAME_COLUMNS)} ${fitted('isolation', ISOLATION_COLUMNS)} ${'done'.padStart(DONE_COLUMNS)}  doing`;
  const more = agents.length - MAX_AGENTS;
  return [
    [{ text: heading, style: 'dim' }],
    ...agents.slice(0, MAX_AGENTS).map((agent) => agentLine(agent, campaign.name)),
    ...(more > 0 ? [[{ text: `and ${more} more`, style: 'dim' } as const]] : []),
  ];
}

function agentLine({ name, isolation, done, activity }: AgentStatus, campaign: string): readonly Segment[] {
  const columns = [
    fitted(plainText(name), NAME_COLUMNS),
    fitted(plainText(isolation), ISOLATION_COLUMNS),
    String(done).padStart(DONE_COLUMNS),
  ];
  return [{ text: `${columns.join(' ')}  ` }, ...activitySegments(activity, campaign)];
}

function activitySegments(activity: Activity, campaign: string): readonly Segment[] {
  if (activity.kind !== 'running')
    return [{ text: idleText(activity.kind), style: idleStyle(activity.kind) }];
  const progress = Math.max(0, Math.min(1, activity.progress));
  const filled = Math.floor(progress * JOB_BAR_COLUMNS);
  const again = activity.attempt > 1 ? ` attempt ${activity.attempt}` : '';
  return [
    { text: `${jobColumn(activity.job, campaign)} ` },
    { text: '█'.repeat(filled), style: 'cyan' },
    { text: '░'.repeat(JOB_BAR_COLUMNS - filled), style: 'dim' },
    { text: `${String(Math.floor(progress * 100)).padStart(4)}%` },
    { text: again, style: 'yellow' },
  ];
}

type Idle = Exclude<Activity['kind'], 'running'>;

function idleText(kind: Idle): string {
  switch (kind) {
    case 'starting':
      return 'starting';
    case 'idle':
      return 'waiting for work';
    case 'stopped':
      return 'stopped (SIGSTOP)';
    case 'killed':
      return 'killed (SIGKILL)';
    case 'draining':
      return 'finishing its last job';
  }
}

function idleStyle(kind: Idle): Style {
  return kind === 'killed' ? 'red' : kind === 'stopped' ? 'yellow' : 'dim';
}

function lostLines({ lost, campaign }: DisplayState): readonly (readonly Segment[])[] {
  if (lost.length === 0) return [];
  const again = lost.filter((one) => one.leasedAgainAfterMs !== undefined).length;
  const heading = `lost attempts: ${lost.length}, leased again: ${again}`;
  return [
    [],
    [{ text: heading, style: 'dim' }],
    ...lost.slice(-MAX_LOST).map((one) => lostLine(one, campaign.name)),
  ];
}

/** How long it took comes first: it is what a person looks for, and must not be cut. */
function lostLine(
  { job, attempt, reason, leasedAgainAfterMs }: LostAttempt,
  campaign: string,
): readonly Segment[] {
  const what = `  ${jobColumn(job, campaign)} attempt ${attempt}, ${plainText(reason)}`;
  if (leasedAgainAfterMs === undefined) {
    return [{ text: fitted('… waits for a lease', AGAIN_COLUMNS), style: 'yellow' }, { text: what }];
  }
  const seconds = `${(leasedAgainAfterMs / 1000).toFixed(1)} s`.padStart(7);
  return [{ text: fitted(`↻ leased again after ${seconds}`, AGAIN_COLUMNS), style: 'green' }, { text: what }];
}

/** A job's name without the campaign's, which stands above. */
function jobColumn(job: string, campaign: string): string {
  const prefix = `${campaign}/`;
  return fitted(plainText(job.startsWith(prefix) ? job.slice(prefix.length) : job), JOB_COLUMNS);
}

function eventLines({ events }: DisplayState): readonly (readonly Segment[])[] {
  if (events.length === 0) return [];
  const newest = events
    .slice(-MAX_EVENTS)
    .map(({ atMs, text }): readonly Segment[] => [
      { text: `${durationText(atMs).padStart(6)}  `, style: 'dim' },
      { text: plainText(text) },
    ]);
  return [[], ...newest];
}
