import { plainText } from './line.ts';
import { lostText } from './lost-attempt.ts';
import { durationText, isOver, paceText } from './progress.ts';
import type { DisplayState, LostAttempt } from './state.ts';

/** What has been told already; grows with agents and lost attempts of one campaign, which are bounded by its jobs. */
export interface Told {
  readonly agents: ReadonlySet<string>;
  readonly lost: ReadonlySet<string>;
  readonly event: number;
  readonly tenths: number;
  readonly failed: number;
}

export interface News {
  readonly lines: readonly string[];
  readonly told: Told;
}

export const nothingTold: Told = { agents: new Set(), lost: new Set(), event: -1, tenths: 0, failed: 0 };

/** One plain line for each change of note since the last time: no colour, no codes, each change once. */
export function newsOf(state: DisplayState, told: Told): News {
  const at = durationText(state.elapsedMs);
  const agents = state.agents.filter(
    (agent) => agent.activity.kind !== 'starting' && !told.agents.has(agent.name),
  );
  const events = state.events.filter((event) => event.id > told.event);
  const lost = state.lost.filter((one) => !told.lost.has(lostKey(one)));
  const tenths = tenthsOf(state);
  const { campaign } = state;
  const lines = [
    ...agents.map((agent) => `${at} ${plainText(agent.name)} is ready (${plainText(agent.isolation)})`),
    ...events.map((event) => `${durationText(event.atMs)} ${plainText(event.text)}`),
    ...lost.map((one) => `${at} ${lostText(one)}`),
    ...(campaign.failed > told.failed
      ? [`${at} ${campaign.failed} ${campaign.failed === 1 ? 'job' : 'jobs'} failed so far`]
      : []),
    ...(tenths > told.tenths ? [`${at} ${progressText(state)}`] : []),
  ];
  return {
    lines,
    told: {
      agents: new Set([...told.agents, ...agents.map((agent) => agent.name)]),
      lost: new Set([...told.lost, ...lost.map(lostKey)]),
      event: events.reduce((newest, event) => Math.max(newest, event.id), told.event),
      tenths: Math.max(tenths, told.tenths),
      failed: Math.max(campaign.failed, told.failed),
    },
  };
}

function progressText({ campaign, elapsedMs }: DisplayState): string {
  const { name, finished, total } = campaign;
  return `${plainText(name)}: ${finished} of ${total} jobs finished, ${paceText(campaign, elapsedMs)}`;
}

/** A loss is told when it happens and again when it is made good. */
function lostKey({ job, attempt, leasedAgainAfterMs }: LostAttempt): string {
  return `${job}/${attempt}/${leasedAgainAfterMs === undefined ? 'waits' : 'again'}`;
}

/** Tenths of the campaign that are finished; one more where nothing is left to do. */
function tenthsOf({ campaign }: DisplayState): number {
  if (campaign.total === 0) return 0;
  const tenths = Math.floor((10 * campaign.finished) / campaign.total);
  return isOver(campaign) ? 11 : Math.min(10, tenths);
}
