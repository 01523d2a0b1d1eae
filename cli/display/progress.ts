import type { CampaignProgress } from './state.ts';

/** How fast a campaign goes and how long it will still take, as far as that can be known. */
interface Pace {
  readonly jobsPerMinute: number | undefined;
  readonly leftMs: number | undefined;
}

/** The mean since the campaign began; unknown before the first job finished. */
function paceOf(campaign: CampaignProgress, elapsedMs: number): Pace {
  if (campaign.finished === 0 || elapsedMs <= 0) return { jobsPerMinute: undefined, leftMs: undefined };
  const perMs = campaign.finished / elapsedMs;
  return { jobsPerMinute: perMs * 60_000, leftMs: (campaign.running + campaign.waiting) / perMs };
}

/** Minutes and seconds, hours where there are any: 0:07, 12:30, 1:02:03. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  const two = (value: number): string => String(value).padStart(2, '0');
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/** `46.2 jobs/min, about 0:22 left`; what is not known yet is left out. */
export function paceText(campaign: CampaignProgress, elapsedMs: number): string {
  const { jobsPerMinute, leftMs } = paceOf(campaign, elapsedMs);
  if (jobsPerMinute === undefined || leftMs === undefined) return 'no job finished yet';
  const rate = `${jobsPerMinute.toFixed(jobsPerMinute < 100 ? 1 : 0)} jobs/min`;
  return leftMs === 0 ? rate : `${rate}, about ${durationText(leftMs)} left`;
}

/** Whether nothing of the campaign is left to do. */
export function isOver(campaign: CampaignProgress): boolean {
  return campaign.running + campaign.waiting === 0;
}
