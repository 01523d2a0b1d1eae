import type { CampaignCounts } from '../adapters/jobs/local/queued-job.ts';
import type { ControlClient, StreamLine } from './control-client.ts';

/**
 * Waits until no job of a campaign can change any more. Counts are read afresh whenever the stream of changes says something
 * final; a stream that breaks is opened again.
 */
export async function waitForCampaign(
  queue: ControlClient,
  campaign: string,
  onCounts: (counts: CampaignCounts) => void,
  signal: AbortSignal = new AbortController().signal,
  onLine: (line: StreamLine) => void = () => undefined,
): Promise<CampaignCounts> {
  for (;;) {
    const ended = await follow(queue, campaign, onCounts, signal, onLine);
    if (ended !== undefined) return ended;
    signal.throwIfAborted();
  }
}

async function follow(
  queue: ControlClient,
  campaign: string,
  onCounts: (counts: CampaignCounts) => void,
  signal: AbortSignal,
  onLine: (line: StreamLine) => void,
): Promise<CampaignCounts | undefined> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  try {
    for await (const line of queue.events(campaign, both)) {
      onLine(line);
      if (line.kind === 'change' && !['finished', 'failed', 'cancelled'].includes(line.state)) continue;
      const counts = await queue.counts(campaign);
      onCounts(counts);
      if (isOver(counts)) return counts;
    }
    return undefined;
  } finally {
    stop.abort();
  }
}

function isOver({ states, total, retried }: CampaignCounts): boolean {
  return states.finished + states.failed + states.cancelled >= total - retried;
}
