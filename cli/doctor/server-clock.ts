import type { SaidTime } from '../../adapters/jobs/kit/inquire.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import { isLoopback } from '../configuration/safe-address.ts';
import type { Settings } from '../configuration/settings.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** What tokens and capabilities allow for. */
const MAX_SKEW_MS = 60_000;
/** A `Date` (RFC 9110 §6.6.1) says whole seconds. */
const SECOND_MS = 1000;
const ANSWER_MS = 10_000;

/** Our clock against what a server said; how long its answer took is nobody's fault. */
export function judgeTime({ host, dateMs, askedMs, heardMs }: SaidTime): Finding {
  const what = `clock against ${host}`;
  const aheadMs = Math.max(0, askedMs - (dateMs + SECOND_MS));
  const behindMs = Math.max(0, dateMs - heardMs);
  const skewMs = Math.max(aheadMs, behindMs);
  const seconds = `${Math.round(skewMs / 1000)} s ${aheadMs > 0 ? 'ahead of' : 'behind'} it`;
  if (skewMs <= MAX_SKEW_MS) return ok(what, skewMs === 0 ? 'agrees' : seconds);
  return problem(
    what,
    `this machine’s is ${seconds}, and tokens allow for ${MAX_SKEW_MS / 1000} s`,
    'let an NTP service keep the clock here; where others agree with this machine, tell those who run the server',
  );
}

/** Against the broker, where that is reached through an address that another machine answers. */
export async function checkBrokerTime({
  publicUrls,
}: Pick<Settings, 'publicUrls'>): Promise<readonly Finding[]> {
  const url = [publicUrls.enrolment, publicUrls.bridge].find(
    (named) => named !== undefined && !isLoopback(new URL(named).hostname),
  );
  return url === undefined ? [] : [await timeAt(url)];
}

export async function timeAt(url: string): Promise<Finding> {
  const { host } = new URL(url);
  const askedMs = nodeClock.wallMs();
  try {
    const { headers } = await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const dateMs = Date.parse(headers.get('date') ?? '');
    if (Number.isNaN(dateMs))
      return warning(`clock against ${host}`, 'it says no time', 'compare them by hand');
    return judgeTime({ host, dateMs, askedMs, heardMs: nodeClock.wallMs() });
  } catch (caught) {
    const why =
      caught instanceof Error && caught.cause instanceof Error ? caught.cause.message : String(caught);
    return warning(
      `clock against ${host}`,
      `no answer from ${url}: ${why.split('\n')[0] ?? ''}`,
      'see whether agents reach it; from here it need not be reached',
    );
  }
}
