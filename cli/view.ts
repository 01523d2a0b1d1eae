import { nodeClock } from '../protocol/runtime/node-runtime.ts';
import type { AgentView, DemoView } from './demo-view.ts';
import { createDisplay, type DisplayStream } from './display/display.ts';
import type { Activity, CampaignProgress, DisplayEvent, DisplayState, LostAttempt } from './display/state.ts';
import type { Loss } from './losses.ts';
import type { CampaignCounts } from '../adapters/jobs/local/queued-job.ts';

const MAX_EVENTS = 20;
const SHORT_ID = 8;

/** The live display of a campaign: a screen that is redrawn on a terminal, lines elsewhere. */
export function createView(stream: DisplayStream): DemoView {
  const display = createDisplay({ stream, clock: nodeClock, environment: process.env });
  const agents = new Map<string, AgentView>();
  let campaign: CampaignProgress | undefined;
  let startedMs = 0;
  let lost: readonly LostAttempt[] = [];
  let events: readonly DisplayEvent[] = [];

  const elapsedMs = (): number => performance.now() - startedMs;
  const draw = (): void => {
    if (campaign === undefined) return;
    const state: DisplayState = {
      campaign,
      elapsedMs: elapsedMs(),
      agents: [...agents.values()]
        .sort((a, b) => a.name.localeCompare(b.name, 'en', { numeric: true }))
        .map(statusOf),
      lost,
      events,
    };
    display.update(state);
  };

  return {
    note(text) {
      // Before there is a campaign there is no screen to note it on.
      if (campaign === undefined) display.note(text);
      else
        events = [...events, { id: (events.at(-1)?.id ?? 0) + 1, atMs: elapsedMs(), text }].slice(
          -MAX_EVENTS,
        );
      draw();
    },
    campaign(name, counts) {
      if (campaign === undefined) startedMs = performance.now();
      campaign = progressOf(name, counts);
      draw();
    },
    agent(view) {
      agents.set(view.name, view);
      draw();
    },
    losses(losses) {
      // An attempt that its agent went on with after all was not lost.
      lost = losses.filter(isLost).map((loss) => lostAttempt(loss, startedMs));
      draw();
    },
    finish: () => display.close(),
  };
}

function progressOf(name: string, { total, retried, states }: CampaignCounts): CampaignProgress {
  const { finished, failed, cancelled, running, pending, handed, accepted } = states;
  return {
    name,
    total: total - retried,
    finished,
    failed,
    cancelled,
    running,
    waiting: pending + handed + accepted,
  };
}

function statusOf({ name, isolation, committed, ...view }: AgentView): DisplayState['agents'][number] {
  return { name, isolation, done: committed, activity: activityOf(view) };
}

function activityOf({
  phase,
  job,
  attempt,
  progress,
}: Pick<AgentView, 'phase' | 'job' | 'attempt' | 'progress'>): Activity {
  if (phase === 'killed' || phase === 'stopped' || phase === 'starting') return { kind: phase };
  if (job !== '') return { kind: 'running', job: job.slice(0, SHORT_ID), attempt, progress };
  return { kind: 'idle' };
}

function isLost({ end }: Loss): boolean {
  return end === undefined || end.kind === 'leased-again';
}

function lostAttempt({ job, attempt, cause, atMs, end }: Loss, startedMs: number): LostAttempt {
  return {
    job: job.slice(0, SHORT_ID),
    attempt,
    reason: cause,
    lostMs: Math.max(0, atMs - startedMs),
    leasedAgainAfterMs: end?.afterMs,
  };
}
