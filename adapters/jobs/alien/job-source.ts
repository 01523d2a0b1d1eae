import { toCoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { HandedJobs } from '../kit/handed-jobs.ts';
import type { RefusedJobs } from '../kit/refused-jobs.ts';
import { jobIdOf } from '../kit/job-id.ts';
import type { JobJournal } from '../kit/job-journal.ts';
import type { NewJob } from '../job-adapter.ts';
import type { AlienJob, Central } from './central.ts';
import { isFinalRefusal } from './catalogue.ts';
import { hostAd, type HostClass } from './host-ad.ts';
import type { MatchedJob } from './matched-job.ts';

/** Takes jobs from the queue for as long as it has some, each with its inputs where agents find them. */
export interface JobSource {
  /** As many as a fetch of `max` lacks; resolves when they are ready, or with false when nothing more comes for now. */
  fill(queue: string, max: number): Promise<boolean>;
  /** How many jobs wait in the queue for hosts of ours, as far as it says. */
  waiting(queue: string): Promise<number>;
  /** After a restart: what the queue handed out before and no broker has. */
  resume(): void;
}

export interface JobSourceOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Which queue server a job's number is of. */
  readonly server: string;
  readonly central: Central;
  readonly handed: HandedJobs;
  readonly journal: JobJournal<MatchedJob>;
  readonly hosts: (queue: string) => HostClass | undefined;
  readonly pollMs: number;
  /** A broker has it since before the restart, and nobody ran it then. */
  readonly onAccepted: (job: string, state: string) => void;
  readonly refused: RefusedJobs;
  /** Makes our job of AliEn's. */
  readonly prepare: (id: string, matched: MatchedJob, hosts: HostClass) => Promise<NewJob>;
}

/** How often a job whose inputs cannot be had for now is tried, once a fetch. */
const MOST_TRIES = 20;
const RETRY_MS = 30_000;
const MOST_OFFERED = 1000;
const MOST_AT_ONCE = 8;

interface Waiting {
  readonly matched: MatchedJob;
  tries: number;
  notBeforeMs: number;
}

export function createJobSource(options: JobSourceOptions): JobSource {
  const { clock, log, server, central, handed, journal, hosts, pollMs, prepare, refused, onAccepted } =
    options;
  /** Per advertisement, when the queue is asked again: hosts that are advertised alike wait together. */
  const pauses = new Map<string, number>();
  /** Classes with the packages that were asked for and are here, per queue. */
  const installed = new Map<string, HostClass>();
  const unready = new Map<string, Waiting>();

  const classOf = (queue: string): HostClass | undefined => installed.get(queue) ?? hosts(queue);
  const isPaused = (ad: string): boolean => (pauses.get(ad) ?? 0) > clock.monotonicMs();
  const pause = (ad: string, why: string): void => {
    if (pauses.size > 1024) pauses.clear();
    pauses.set(ad, clock.monotonicMs() + pollMs);
    log.debug({ why }, 'the queue has no job for now');
  };

  /** Packages that the class has and did not say so: asked again with them, once. */
  const install = (queue: string, known: HostClass, packages: readonly string[]): boolean => {
    const fresh = packages.filter((name) => known.packages.includes(name) && !known.installed.includes(name));
    if (fresh.length < packages.length || fresh.length === 0) return false;
    installed.set(queue, { ...known, installed: [...known.installed, ...fresh] });
    return true;
  };

  /** Answers whether it is worth asking on. */
  const takeOne = async (queue: string): Promise<boolean> => {
    const known = classOf(queue);
    if (known === undefined) return false;
    const ad = hostAd(known);
    if (isPaused(ad)) return false;
    const answer = await central.match(ad, known.ce);
    switch (answer.kind) {
      case 'job':
        await taken(queue, answer.job, answer.jdl);
        return true;
      case 'install':
        if (install(queue, known, answer.packages)) return takeOne(queue);
        pause(ad, `packages are missing: ${answer.packages.join(', ')}`);
        return false;
      case 'none':
        pause(ad, answer.why);
        return false;
    }
  };

  const taken = async (queue: string, job: AlienJob, jdl: string): Promise<void> => {
    const id = jobIdOf('alien', server, job.id, job.token);
    const matched = { queue, ...job, jdl };
    await journal.take(new Map([[id, matched]]));
    unready.set(id, { matched, tries: 0, notBeforeMs: 0 });
    await ready(id);
  };

  /** From a job of the queue's to one that is handed over, or back to the queue with a reason. */
  const ready = async (id: string): Promise<void> => {
    const waiting = unready.get(id);
    const known = waiting && classOf(waiting.matched.queue);
    if (waiting === undefined || known === undefined || waiting.notBeforeMs > clock.monotonicMs()) return;
    try {
      const job = await prepare(id, waiting.matched, known);
      handed.offer(waiting.matched.queue, [job]);
      unready.delete(id);
    } catch (caught) {
      await giveBack(id, waiting, toCoPilotError(caught));
    }
  };
  const giveBack = async (
    id: string,
    waiting: Waiting,
    error: { readonly code: string; readonly message: string },
  ): Promise<void> => {
    waiting.tries++;
    waiting.notBeforeMs = clock.monotonicMs() + RETRY_MS;
    const state = errorState(error.code, waiting.tries >= MOST_TRIES);
    if (state === undefined) {
      log.warn({ code: error.code, job: id }, 'the inputs of a job cannot be had for now');
      return;
    }
    log.warn({ code: error.code, job: id, state }, `a job is given back: ${error.message}`);
    const job = waiting.matched;
    refused.note({ job: id, ref: job.id, reason: error.message });
    await central.write([{ job, tag: 'error', text: `Co-Pilot: ${error.message.slice(0, 500)}` }]);
    await central.setStatus(job, { to: state });
    unready.delete(id);
    await journal.remove(id);
  };

  return {
    async fill(queue, max) {
      for (const [id, { matched }] of unready) if (matched.queue === queue) await ready(id);
      let left = handed.wanted(queue, max) - unready.size;
      // A queue that has nothing is asked once; one that gives, by more and more at once.
      for (let atOnce = 1; left > 0; atOnce = Math.min(2 * atOnce, MOST_AT_ONCE)) {
        const asked = Math.min(atOnce, left);
        const given = await Promise.all(Array.from({ length: asked }, () => takeOne(queue)));
        if (given.includes(false)) return false;
        left -= asked;
      }
      return true;
    },
    async waiting(queue) {
      const known = classOf(queue);
      return known === undefined ? 0 : central.offer(hostAd(known), MOST_OFFERED);
    },
    resume() {
      for (const [id, entry] of journal.atStart) {
        if ('waits' in entry) onAccepted(id, entry.waits);
        else unready.set(id, { matched: entry.taken, tries: 0, notBeforeMs: 0 });
      }
    },
  };
}

/** Which error of AliEn's it is; undefined where it may pass. */
function errorState(code: string, isLast: boolean): string | undefined {
  if (code === 'INVALID_REQUEST') return 'ERROR_A';
  if (code === 'JDL_SYNTAX' || code === 'CLASSAD_SYNTAX') return 'ERROR_E';
  return isFinalRefusal(code) || isLast ? 'ERROR_IB' : undefined;
}
