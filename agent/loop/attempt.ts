import { toCoPilotError } from '../../protocol/errors.ts';
import { base64url } from '../../protocol/encoding.ts';
import type { Lease, NoWork, Release } from '../../protocol/generated/types.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { Ending, KeptLease } from '../store/store.ts';
import type { Context } from './context.ts';
import { execute, say, Stopped, throwIfStopped } from './execute.ts';
import { failed } from './exit.ts';
import { createWallet, uploadOutputs } from './files.ts';
import type { Run } from './files.ts';
import type { Holding, StopReason } from './holding.ts';
import { whyUnable } from './job-spec.ts';
import { sleep } from './wait.ts';

/** What a slot works on: a lease just received, or an attempt of an earlier start of this agent. */
export type Work =
  | { readonly kind: 'leased'; readonly lease: Lease }
  /** Its process died with the agent: it runs again from the beginning under the same attempt. */
  | { readonly kind: 'interrupted'; readonly holding: Holding }
  /** Its job had ended. `isLive`: its files may still be uploaded; otherwise only its report can be repeated. */
  | { readonly kind: 'ended'; readonly holding: Holding; readonly ending: Ending; readonly isLive: boolean };

/** What a slot does next. */
export type Next =
  | { readonly kind: 'ask' }
  | { readonly kind: 'wait'; readonly none: NoWork }
  | { readonly kind: 'work'; readonly work: Work };

const ASK: Next = { kind: 'ask' };
/** An agent that ends gives the broker this long to answer a release. */
const RELEASE_WITHIN_MS = 5_000;

/** Takes one attempt from wherever it stands to its report, or gives it up. Never rejects. */
export async function runAttempt(context: Context, slot: number, work: Work): Promise<Next> {
  if (work.kind === 'leased' && isKnown(context, work.lease)) return ASK;
  const holding = work.kind === 'leased' ? context.renewals.hold(keptLease(work.lease), false) : work.holding;
  const wallet = createWallet(context, slot, holding);
  if (work.kind === 'leased') wallet.add(work.lease.capabilities);
  const run: Run = { context, slot, holding, wallet, place: context.store.workplace(holding) };
  try {
    if (context.draining.aborted && work.kind !== 'ended') holding.stop('drain');
    return await carryOut(run, work);
  } catch (caught) {
    await giveUp(run, caught);
    return ASK;
  } finally {
    context.renewals.drop(holding);
  }
}

/** Tells the broker that an attempt is given back; true once it knows, or need not. */
export async function release(
  context: Context,
  slot: number,
  attempt: { readonly job: string; readonly attempt: number },
  reason: Release['reason'],
): Promise<boolean> {
  const deadline = new AbortController();
  const cancel = context.runtime.clock.schedule(RELEASE_WITHIN_MS, () => deadline.abort());
  const { job, attempt: number } = attempt;
  try {
    const signal = AbortSignal.any([deadline.signal, context.closing]);
    const answer = await context.link.release(slot, { job, attempt: number, reason }, signal);
    return answer.kind !== 'given-up';
  } finally {
    cancel();
  }
}

/** The same lease again: it is being worked on, or was reported. */
function isKnown(context: Context, lease: Lease): boolean {
  return context.renewals.find(lease) !== undefined || context.verdicts.isExpected(lease);
}

function keptLease({ job, attempt, queue, leaseSeconds, firstRenewSeconds, description }: Lease): KeptLease {
  return { job, attempt, queue, leaseSeconds, firstRenewSeconds, description };
}

async function carryOut(run: Run, work: Work): Promise<Next> {
  throwIfStopped(run);
  const ending = work.kind === 'ended' ? work.ending : await begin(run);
  const isLive = work.kind !== 'ended' || work.isLive;
  return report(run, isLive ? await uploaded(run, ending) : ending);
}

/** Journalled before anything happens, so that a restart knows of it; and again before anything is said of the end. */
async function begin(run: Run): Promise<Ending> {
  const { context, holding } = run;
  const unable = whyUnable(holding.lease.description, context.hostAd());
  if (unable !== undefined) throw new Unable(unable);
  await context.store.save({ phase: 'leased', lease: holding.lease });
  const place = await context.store.prepare(holding);
  const ending = await execute({ ...run, place });
  await context.store.save({ phase: 'ended', lease: holding.lease, ending });
  throwIfStopped(run);
  return ending;
}

/** The job asks for more than this host has. */
class Unable extends Error {
  override readonly name = 'Unable';
}

/** The ending as it can be reported: with its files in storage, or failed for want of that. */
async function uploaded(run: Run, ending: Ending): Promise<Ending> {
  if (ending.manifest.length === 0) return ending;
  say(run, 'uploading', 1);
  try {
    await uploadOutputs(run, ending.manifest);
  } catch (caught) {
    throwIfStopped(run);
    const error = toCoPilotError(caught);
    if (error.code === 'ATTEMPT_NOT_LIVE') throw error;
    const exit = failed(`an output could not be uploaded: ${error.code}: ${error.message}`);
    return { ...ending, exit, manifest: [] };
  }
  throwIfStopped(run);
  return ending;
}

async function report(run: Run, ending: Ending): Promise<Next> {
  const { context, slot, holding } = run;
  const { job, attempt } = holding;
  say(run, 'reporting', 1);
  // From here on the answer to the report decides; a renewal that crosses it does not.
  holding.live = false;
  context.verdicts.expect(
    holding,
    ending.manifest.reduce((sum, { size }) => sum + size, 0),
  );
  const seen = context.verdicts.toName();
  const wantsNext = !context.draining.aborted && context.verdicts.hasRoom && !context.environment.examines;
  const answer = await context.link.report(
    slot,
    {
      job,
      attempt,
      ...ending,
      signature: signatureOf(context, holding, ending),
      ...(wantsNext && { next: context.hostAd() }),
      seen,
    },
    context.closing,
  );
  switch (answer.kind) {
    case 'answered': {
      const { verdict, reason, next } = answer.message;
      context.verdicts.named(seen);
      context.verdicts.answered({ job, attempt, verdict, reason });
      return nextOf(next);
    }
    case 'refused':
      await context.store.remove(holding);
      context.verdicts.forget(holding);
      context.ended(holding, 'lost', `the report was refused: ${answer.code}`);
      if (answer.code !== 'ATTEMPT_NOT_LIVE') await release(context, slot, holding, 'unable');
      return ASK;
    case 'given-up':
      return ASK;
  }
}

function nextOf(next: Lease | NoWork | undefined): Next {
  if (next === undefined) return ASK;
  return 'job' in next
    ? { kind: 'work', work: { kind: 'leased', lease: next } }
    : { kind: 'wait', none: next };
}

function signatureOf(context: Context, { job, attempt }: Holding, { exit, manifest }: Ending): string {
  const evidence = reportEvidence(context.installation, context.agentId(), { job, attempt, exit, manifest });
  return base64url(context.runtime.crypto.sign(context.signingKey, evidence));
}

/** The attempt ends without a report: its files go, and the broker hears of it unless it said so itself. */
async function giveUp(run: Run, caught: unknown): Promise<void> {
  const { context, slot, holding } = run;
  const why = reasonOf(holding, caught);
  if (why === 'closing') return; // the journal keeps it for the next start
  const [end, reason] = ENDS[why];
  if (why === 'unable')
    context.runtime.log.error({ job: holding.job, error: caught }, 'an attempt was given up');
  if (why === 'drain' || why === 'unable') await release(context, slot, holding, why);
  await removeFiles(context, holding);
  context.ended(holding, end, reason);
  // A host that can run nothing must not take lease after lease.
  if (why === 'unable') await sleep(context.runtime.clock, UNABLE_PAUSE_MS, context.draining);
}

const UNABLE_PAUSE_MS = 10_000;

const ENDS = {
  void: ['lost', 'the broker no longer counts the attempt as ours'],
  cancelled: ['cancelled', 'the broker asked to end it'],
  drain: ['released', 'the agent is draining'],
  unable: ['released', 'this host could not run it'],
} as const;

function reasonOf(holding: Holding, caught: unknown): StopReason | 'unable' {
  if (holding.stopReason !== undefined) return holding.stopReason;
  if (caught instanceof Stopped || toCoPilotError(caught).code === 'ATTEMPT_NOT_LIVE') return 'void';
  return 'unable';
}

async function removeFiles(context: Context, holding: Holding): Promise<void> {
  try {
    await context.store.remove(holding);
  } catch (error) {
    // The next start finds it in the journal, not held any more, and removes it.
    context.runtime.log.warn({ job: holding.job, error }, 'the files of an attempt could not be removed');
  }
}
