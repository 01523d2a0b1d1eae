import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { NewJob } from '../../../protocol/generated/types.ts';
import type { Cancel, Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { Fetched } from '../job-adapter.ts';
import type { CeilingFile } from '../kit/ceiling.ts';
import type { HandedJobs } from '../kit/handed-jobs.ts';
import { jobIdOf } from '../kit/job-id.ts';
import type { JobJournal } from '../kit/job-journal.ts';
import type { RefusedJobs } from '../kit/refused-jobs.ts';
import { shown } from './answer-reader.ts';
import { type InputFetcher, InputUnavailable } from './input-fetcher.ts';
import { type JobPlan, mapJob, newJobOf } from './job-description.ts';
import type { JobState } from './job-state.ts';
import { outcomeFor } from './outcome.ts';
import type { Heard, JobUpdate, PandaClient } from './panda-client.ts';
import { type PandaJob, type ReadJob, readJob } from './panda-job.ts';
import type { PandaOptions } from './panda-options.ts';
import { PILOT_ERRORS, type PilotError } from './pilot-errors.ts';
import { commandOf } from './states.ts';
import type { TakenJob } from './taken-job.ts';

/** From PanDA to the broker: jobs are taken, PanDA hears at once that they start, their inputs are fetched, they are handed over. */
export interface Intake {
  /** Goes on with what an earlier process took. */
  resume(): void;
  fetch(queue: string, max: number): Promise<Fetched>;
  /** The broker has them. Resolves once another process would not hand them over again. */
  accepted(ids: readonly string[]): Promise<void>;
  /** The broker says that it runs. */
  runs(id: string): void;
  /** The broker says that it waits for another agent. */
  waits(id: string, state: string): void;
  /** What PanDA calls a job that no broker has named yet, for where one speaks of it and has no state. */
  waiting(id: string): JobState | undefined;
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
  readonly refused: RefusedJobs;
  readonly journal: JobJournal<TakenJob>;
  /** A job is on its way to an agent, or waits for one. */
  readonly onReady: (id: string, state: string) => void;
  /** PanDA wants a job ended that it just gave. */
  readonly onUnwanted: (id: string) => void;
  /** A job that was prepared after its fetch was answered. */
  readonly onLate: (queue: string) => void;
}

/** One job of PanDA under our names. */
interface Coming {
  readonly id: string;
  readonly queue: string;
  readonly site: string;
  readonly job: PandaJob;
}

/** A fetch waits so long for inputs; what comes later goes with the next. */
const PREPARE_MS = 3000;
const AGAIN_MS = 10_000;

export function createIntake(parts: IntakeOptions): Intake {
  const { clock, log, options, client, handed, journal } = parts;
  /** Taken from PanDA and neither handed over nor refused, by queue. */
  const unready = new Map<string, Map<string, Promise<void>>>();
  const timers = new Set<Cancel>();
  let isStopped = false;

  const unreadyOf = (queue: string): Map<string, Promise<void>> => {
    const known = unready.get(queue) ?? new Map<string, Promise<void>>();
    unready.set(queue, known);
    return known;
  };
  const after = (ms: number, act: () => void): Cancel => {
    const cancel = clock.schedule(ms, () => {
      timers.delete(cancel);
      act();
    });
    timers.add(cancel);
    return () => {
      timers.delete(cancel);
      cancel();
    };
  };
  const again = (act: () => void): void => {
    if (!isStopped) after(AGAIN_MS, act);
  };
  const noted = (id: string, written: Promise<void>): void => {
    written.catch((caught: unknown) =>
      log.warn({ err: caught, job: id }, 'the journal of jobs cannot be written'),
    );
  };
  const forget = (id: string): void => noted(id, journal.remove(id));
  const comingOf = (queue: string, job: PandaJob): Coming => ({
    id: jobIdOf('panda', parts.server, String(job.id), String(job.attempt)),
    queue,
    site: parts.queues[queue] ?? queue,
    job,
  });
  const updateOf = ({ job, site }: Coming): Omit<JobUpdate, 'status'> => ({
    id: job.id,
    attempt: job.attempt,
    site,
    node: options.scheduler,
  });

  /** PanDA fails a job that stays `sent` for half an hour. That it was killed meanwhile shows here first. */
  async function begin(coming: Coming): Promise<void> {
    try {
      const heard = await parts.update({ ...updateOf(coming), status: 'starting' });
      if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
      if (commandOf(heard.command) !== 'none') parts.onUnwanted(coming.id);
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      log.warn({ panda: coming.job.id, code, why: message }, 'PanDA did not hear that a job starts');
    }
  }

  /** Told until PanDA has heard it: a job that nobody runs must not look as if somebody did. Resolves after the first try. */
  async function refuse(coming: Coming, error: PilotError, reason: string): Promise<void> {
    const { id, job } = coming;
    log.warn({ panda: job.id, job: id, reason: shown(reason) }, 'a job of PanDA is refused');
    parts.refused.note({ job: id, ref: String(job.id), reason });
    handed.end(id);
    const outcome = outcomeFor(error, `refused by Co-Pilot: ${reason}`);
    const tell = async (): Promise<void> => {
      try {
        const heard = await parts.update({
          ...updateOf(coming),
          status: 'failed',
          outcome,
          endMs: clock.wallMs(),
        });
        if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
        forget(id);
      } catch (caught) {
        log.warn(
          { panda: job.id, code: toCoPilotError(caught).code },
          'PanDA did not hear that a job is refused',
        );
        again(() => void tell());
      }
    };
    await tell();
  }

  /** Ends with the job offered to the broker, or refused to PanDA; what cannot be done now is done again later. */
  async function prepare(coming: Coming): Promise<void> {
    const { id, queue, site, job } = coming;
    const mapped = mapJob(job, { options, site, queue, id, retries: parts.retries });
    if (mapped.kind === 'refused') return refuse(coming, mapped.error, mapped.reason);
    try {
      await offer(coming, await filled(mapped.plan));
      return undefined;
    } catch (caught) {
      if (caught instanceof InputUnavailable) return refuse(coming, caught.error, caught.message);
      log.warn(
        { panda: job.id, job: id, err: caught },
        'the inputs of a job could not be stored; tried again',
      );
      return new Promise((resolve) => {
        again(() => void prepare(coming).then(resolve));
      });
    }
  }

  async function filled(plan: JobPlan): Promise<NewJob> {
    const stored = [];
    for (const input of plan.inputs) stored.push(await parts.inputs.fetch(input));
    return newJobOf(plan, stored);
  }

  async function offer(coming: Coming, newJob: NewJob): Promise<void> {
    const fault = parts.ceiling.fault(newJob);
    if (fault !== undefined) await refuse(coming, PILOT_ERRORS.payloadFailed, fault);
    else if (handed.offer(coming.queue, [newJob]) > 0) parts.onReady(newJob.job, newJob.state ?? '');
  }

  function takeOn(coming: Coming): void {
    const own = unreadyOf(coming.queue);
    own.set(
      coming.id,
      prepare(coming).finally(() => own.delete(coming.id)),
    );
  }

  async function acquire(queue: string, site: string, wanted: number): Promise<number> {
    const values = await client.acquire(site, wanted);
    const read = values.map((value) => readJob(value));
    const jobs = read.flatMap((one) => (one.kind === 'job' ? [comingOf(queue, one.job)] : []));
    await journal.take(new Map(jobs.map(({ id, job }) => [id, { queue, members: job.members }])));
    for (const coming of jobs) {
      void begin(coming);
      takeOn(coming);
    }
    for (const one of read) if (one.kind === 'refused') await refuseUnread(queue, one);
    return values.length;
  }

  async function refuseUnread(queue: string, unread: Extract<ReadJob, { kind: 'refused' }>): Promise<void> {
    const { id, attempt, reason } = unread;
    if (id === undefined || attempt === undefined) {
      log.warn({ reason }, 'PanDA gives a job that nobody can name');
      return;
    }
    const job: PandaJob = { id, attempt, inputs: [], outputs: [], logGuid: '', members: {} };
    await refuse(comingOf(queue, job), PILOT_ERRORS.payloadFailed, reason);
  }

  /** Resolves when all that was taken is prepared, or after a while; the others are said to be there when they are. */
  function prepared(queue: string): Promise<void> {
    const work = [...unreadyOf(queue).values()];
    if (work.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      let isLate = false;
      const cancel = after(PREPARE_MS, () => {
        isLate = true;
        resolve();
      });
      void Promise.all(work).then(() => {
        cancel();
        if (isLate && !isStopped) parts.onLate(queue);
        resolve();
      });
    });
  }

  /** Whether PanDA gave as many as were asked for: it may have more. */
  const asking = new Map<string, number>();
  async function fill(queue: string, max: number): Promise<boolean> {
    const site = parts.queues[queue];
    const asked = asking.get(queue) ?? 0;
    const wanted = handed.wanted(queue, max) - unreadyOf(queue).size - asked;
    if (site === undefined || wanted <= 0 || isStopped) return false;
    asking.set(queue, asked + wanted);
    try {
      return (await acquire(queue, site, wanted)) === wanted;
    } finally {
      asking.set(queue, (asking.get(queue) ?? 0) - wanted);
    }
  }

  /** Another process goes on telling PanDA that it waits. */
  const accept = async (id: string): Promise<void> => {
    const state = handed.find(id)?.state;
    if (state !== undefined) await journal.waits(id, state);
    else if (journal.find(id) !== undefined) await journal.remove(id);
  };

  const resumeTaken = ({ queue, members }: TakenJob): void => {
    const read = readJob(members);
    if (read.kind === 'job') takeOn(comingOf(queue, read.job));
    else void refuseUnread(queue, read);
  };

  return {
    resume() {
      for (const [id, entry] of journal.atStart) {
        if ('taken' in entry) resumeTaken(entry.taken);
        else {
          handed.accept([id]);
          parts.onReady(id, entry.waits);
        }
      }
    },
    async fetch(queue, max) {
      let mayHaveMore = false;
      try {
        mayHaveMore = await fill(queue, max);
      } catch (caught) {
        // What was taken before goes out all the same.
        if (handed.waiting(queue) === 0) throw caught;
        log.warn({ queue, code: toCoPilotError(caught).code }, 'PanDA gives no jobs');
      }
      await prepared(queue);
      const fetched = handed.take(queue, max);
      return { jobs: fetched.jobs, more: fetched.more || mayHaveMore };
    },
    async accepted(ids) {
      const written = ids.map(accept);
      handed.accept(ids);
      await Promise.all(written);
    },
    runs(id) {
      handed.accept([id]);
      forget(id);
    },
    waits(id, state) {
      handed.accept([id]);
      noted(id, journal.waits(id, state));
    },
    waiting(id) {
      const found = journal.find(id);
      const read = found && readJob(found.members);
      if (found === undefined || read?.kind !== 'job') return undefined;
      const { job, site } = comingOf(found.queue, read.job);
      const none = {
        outputs: [],
        task: undefined,
        jobset: undefined,
        takesEvents: false,
        members: undefined,
      };
      return { id: job.id, attempt: job.attempt, site, ...none };
    },
    ended(id) {
      handed.end(id);
      forget(id);
    },
    stop() {
      isStopped = true;
      for (const cancel of timers) cancel();
      timers.clear();
    },
  };
}
