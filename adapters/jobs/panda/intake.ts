import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { NewJob } from '../../../protocol/generated/types.ts';
import type { Cancel, Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { Fetched } from '../job-adapter.ts';
import type { CeilingFile } from '../kit/ceiling.ts';
import type { HandedJobs } from '../kit/handed-jobs.ts';
import { jobIdOf } from '../kit/job-id.ts';
import { shown } from './answer-reader.ts';
import { type InputFetcher, InputUnavailable } from './input-fetcher.ts';
import { type JobPlan, mapJob, newJobOf } from './job-description.ts';
import { outcomeFor } from './outcome.ts';
import type { Heard, JobUpdate, PandaClient } from './panda-client.ts';
import { type PandaJob, readJob } from './panda-job.ts';
import type { PandaOptions } from './panda-options.ts';
import { PILOT_ERRORS, type PilotError } from './pilot-errors.ts';
import { commandOf } from './states.ts';
import type { TakenJob, TakenJobs } from './taken-jobs.ts';

/** From PanDA to the broker: jobs are taken, PanDA hears at once that they start, their inputs are fetched, they are handed over. */
export interface Intake {
  /** Goes on with what an earlier process took. */
  resume(): void;
  fetch(queue: string, max: number, accepted: readonly string[]): Promise<Fetched>;
  /** The broker speaks of the jobs. Resolves once another process would not hand them over again. */
  accepted(ids: readonly string[]): Promise<void>;
  /** The job is over. */
  ended(id: string): void;
  stop(): void;
}

export interface IntakeOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly options: PandaOptions;
  /** PanDA's address: part of each job's id. */
  readonly server: string;
  /** PanDA's queues by our names. */
  readonly queues: Readonly<Record<string, string>>;
  readonly retries: number;
  readonly client: PandaClient;
  readonly update: (update: JobUpdate) => Promise<Heard>;
  readonly inputs: InputFetcher;
  readonly handed: HandedJobs;
  readonly ceiling: CeilingFile;
  readonly taken: TakenJobs;
  /** A job is on its way to an agent, or waits for one. */
  readonly onReady: (job: NewJob) => void;
  /** A job that was prepared after its fetch was answered. */
  readonly onLate: (queue: string) => void;
}

/** A fetch waits so long for inputs; what comes later goes with the next. */
const PREPARE_MS = 3000;
const AGAIN_MS = 10_000;

export function createIntake(parts: IntakeOptions): Intake {
  const { clock, log, options, client, handed, taken } = parts;
  const preparing = new Map<string, number>();
  const again = new Set<Cancel>();
  let isStopped = false;

  const count = (queue: string, by: number): void =>
    void preparing.set(queue, (preparing.get(queue) ?? 0) + by);
  const later = (act: () => void): void => {
    if (isStopped) return;
    const cancel = clock.schedule(AGAIN_MS, () => {
      again.delete(cancel);
      act();
    });
    again.add(cancel);
  };
  const forget = (id: string): void => {
    taken
      .remove([id])
      .catch((caught: unknown) => log.warn({ err: caught, job: id }, 'a job could not be struck off'));
  };
  const idOf = ({ id, attempt }: PandaJob): string =>
    jobIdOf('panda', parts.server, String(id), String(attempt));
  const updateOf = (job: PandaJob, queue: string): Omit<JobUpdate, 'status'> => ({
    id: job.id,
    attempt: job.attempt,
    site: parts.queues[queue] ?? queue,
    node: options.scheduler,
  });

  /** PanDA fails a job that stays `sent` for half an hour. That it was killed meanwhile shows here first. */
  async function begin(job: PandaJob, queue: string): Promise<'goes-on' | 'unwanted'> {
    try {
      const heard = await parts.update({ ...updateOf(job, queue), status: 'starting' });
      if (heard.kind === 'heard' && commandOf(heard.command) !== 'none') return 'unwanted';
      if (heard.kind === 'not-heard')
        log.warn({ panda: job.id, why: heard.why }, 'PanDA did not hear that a job starts');
    } catch (caught) {
      log.warn({ panda: job.id, code: toCoPilotError(caught).code }, 'PanDA did not hear that a job starts');
    }
    return 'goes-on';
  }

  /** Told until PanDA has heard it: a job that nobody runs must not look as if somebody did. */
  function refuse(
    job: PandaJob,
    queue: string,
    { error, reason }: { readonly error: PilotError; readonly reason: string },
  ): void {
    const id = idOf(job);
    log.warn({ panda: job.id, job: id, reason: shown(reason) }, 'a job of PanDA is refused');
    handed.end(id);
    const outcome = outcomeFor(error, `refused by Co-Pilot: ${reason}`);
    const tell = async (): Promise<void> => {
      const heard = await parts.update({
        ...updateOf(job, queue),
        status: 'failed',
        outcome,
        endMs: clock.wallMs(),
      });
      if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
      forget(id);
    };
    const tryTell = (): void => {
      tell().catch((caught: unknown) => {
        log.warn(
          { panda: job.id, code: toCoPilotError(caught).code },
          'PanDA did not hear that a job is refused',
        );
        later(tryTell);
      });
    };
    tryTell();
  }

  /** Ends with the job offered to the broker, or refused to PanDA; what cannot be done now is done again later. */
  async function prepare(job: PandaJob, queue: string): Promise<void> {
    const id = idOf(job);
    const site = parts.queues[queue] ?? queue;
    const mapped = mapJob(job, { options, site, queue, id, retries: parts.retries });
    if (mapped.kind === 'refused') {
      refuse(job, queue, mapped);
      return;
    }
    try {
      offer(await filled(mapped.plan), queue, job);
    } catch (caught) {
      if (caught instanceof InputUnavailable)
        refuse(job, queue, { error: caught.error, reason: caught.message });
      else {
        log.warn(
          { panda: job.id, job: id, err: caught },
          'the inputs of a job could not be stored; tried again',
        );
        later(() => void prepareCounted(job, queue).then(() => parts.onLate(queue)));
      }
    }
  }

  async function filled(plan: JobPlan): Promise<NewJob> {
    const stored = [];
    for (const input of plan.inputs) stored.push(await parts.inputs.fetch(input));
    return newJobOf(plan, stored);
  }

  function offer(newJob: NewJob, queue: string, job: PandaJob): void {
    const fault = parts.ceiling.fault(newJob);
    if (fault !== undefined) refuse(job, queue, { error: PILOT_ERRORS.payloadFailed, reason: fault });
    else if (handed.offer(queue, [newJob]) > 0) parts.onReady(newJob);
  }

  async function prepareCounted(job: PandaJob, queue: string): Promise<void> {
    count(queue, 1);
    try {
      await prepare(job, queue);
    } finally {
      count(queue, -1);
    }
  }

  async function takeOn(queue: string, job: PandaJob): Promise<void> {
    if ((await begin(job, queue)) === 'unwanted') {
      log.info({ panda: job.id }, 'a job of PanDA was killed before it was handed over');
      refuse(job, queue, { error: PILOT_ERRORS.killedByServer, reason: 'it was killed before it ran' });
      return;
    }
    await prepare(job, queue);
  }

  async function acquire(queue: string, site: string, wanted: number): Promise<readonly PandaJob[]> {
    const jobs: PandaJob[] = [];
    for (const value of await client.acquire(site, wanted)) {
      const read = readJob(value);
      if (read.kind === 'job') jobs.push(read.job);
      else refuseUnread(queue, read);
    }
    await taken.add(jobs.map((job): TakenJob => ({ id: idOf(job), queue, members: job.members })));
    return jobs;
  }

  function refuseUnread(
    queue: string,
    { reason, id, attempt }: Extract<ReturnType<typeof readJob>, { kind: 'refused' }>,
  ): void {
    if (id === undefined || attempt === undefined)
      log.warn({ reason }, 'PanDA gives a job that nobody can name');
    else {
      const job: PandaJob = { id, attempt, inputs: [], outputs: [], logGuid: '', members: {} };
      refuse(job, queue, { error: PILOT_ERRORS.payloadFailed, reason });
    }
  }

  /** Resolves when all are prepared, or after a while; the others are said to be there when they are. */
  function inTime(queue: string, work: Promise<unknown>): Promise<void> {
    return new Promise((resolve) => {
      let isLate = false;
      const cancel = clock.schedule(PREPARE_MS, () => {
        isLate = true;
        resolve();
      });
      void work.then(() => {
        cancel();
        if (isLate && !isStopped) parts.onLate(queue);
        resolve();
      });
    });
  }

  const settled = (
    queue: string,
    jobs: readonly PandaJob[],
    step: (job: PandaJob) => Promise<void>,
  ): Promise<unknown> => {
    count(queue, jobs.length);
    return Promise.all(jobs.map((job) => step(job).finally(() => count(queue, -1))));
  };

  async function fill(queue: string, max: number): Promise<boolean> {
    const site = parts.queues[queue];
    const wanted = handed.wanted(queue, max) - (preparing.get(queue) ?? 0);
    if (site === undefined || wanted <= 0 || isStopped) return false;
    count(queue, wanted);
    const jobs = await acquire(queue, site, wanted).finally(() => count(queue, -wanted));
    await inTime(
      queue,
      settled(queue, jobs, (job) => takeOn(queue, job)),
    );
    return jobs.length === wanted;
  }

  const accepted = async (ids: readonly string[]): Promise<void> => {
    handed.accept(ids);
    await taken.remove(ids);
  };

  return {
    resume() {
      for (const { queue, members } of taken.atStart) {
        const read = readJob(members);
        if (read.kind === 'job') void prepareCounted(read.job, queue).then(() => parts.onLate(queue));
        else refuseUnread(queue, read);
      }
    },
    async fetch(queue, max, ids) {
      await accepted(ids);
      let mayHaveMore = false;
      try {
        mayHaveMore = await fill(queue, max);
      } catch (caught) {
        // What was taken before goes out all the same.
        if (handed.waiting(queue) === 0) throw caught;
        log.warn({ queue, code: toCoPilotError(caught).code }, 'PanDA gives no jobs');
      }
      const fetched = handed.take(queue, max);
      return { jobs: fetched.jobs, more: fetched.more || mayHaveMore };
    },
    accepted,
    ended(id) {
      handed.end(id);
      forget(id);
    },
    stop() {
      isStopped = true;
      for (const cancel of again) cancel();
      again.clear();
    },
  };
}
