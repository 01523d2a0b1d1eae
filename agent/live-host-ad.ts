import type { Cancel, Clock, Log } from '../protocol/runtime/runtime.ts';
import { describeHost } from './host-ad.ts';
import type { HostAd, HostAdRequest } from './host-ad.ts';
import { checkLabels } from './labels.ts';
import type { Labels } from './labels.ts';

/** The host ad as it was less than a minute ago. */
export interface LiveHostAd {
  readonly current: () => HostAd;
  stop(): void;
}

const REFRESH_MS = 60_000;
/** What slots share, and so each offers its part of. */
const SHARED = ['Cpus', 'DiskMiB', 'MemoryMiB'] as const;

/** Describes the host for one slot of several, again every minute. Rejects where it cannot be described, or a label is refused. */
export async function keepHostAd(
  request: HostAdRequest & { readonly slots: number; readonly labels: Labels },
  clock: Clock,
  log: Log,
): Promise<LiveHostAd> {
  const describe = async (): Promise<HostAd> => ({
    ...forOneSlot(await describeHost(request), request.slots),
    ...request.labels,
  });
  checkLabels(request.labels, await describeHost(request));
  let ad = await describe();
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  const refreshLater = (): void => {
    cancel = clock.schedule(REFRESH_MS, () => void refresh());
  };
  const refresh = async (): Promise<void> => {
    try {
      ad = await describe();
    } catch (error) {
      log.warn({ error }, 'the host could not be described; its last description stands');
    }
    if (!isStopped) refreshLater();
  };
  refreshLater();
  return {
    current: () => ad,
    stop() {
      isStopped = true;
      cancel();
    },
  };
}

function forOneSlot(ad: HostAd, slots: number): HostAd {
  const parts = SHARED.flatMap((name): [string, number][] => {
    const whole = ad[name];
    return typeof whole === 'number' ? [[name, Math.max(1, Math.floor(whole / slots))]] : [];
  });
  return { ...ad, ...Object.fromEntries(parts) };
}
