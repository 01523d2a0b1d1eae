import { CoPilotError } from '../../../protocol/errors.ts';
import type { Finished, JobAdapter, Work } from '../job-adapter.ts';
import type { CreateFrameworkAdapter } from '../kit/framework-adapter.ts';
import { createHandedJobs } from '../kit/handed-jobs.ts';
import { type Beat, createHeartbeats } from '../kit/heartbeats.ts';
import { createInputStore } from '../kit/input-store.ts';
import { jobIdOf } from '../kit/job-id.ts';
import { oneAtATime } from '../kit/one-at-a-time.ts';
import { repeatEvery } from '../kit/repeat-every.ts';
import { translate } from './http-queue-job.ts';
import { ANSWERS, askQueue, beatsOf, listHeld, refOf } from './http-queue-wire.ts';
import type { QueueJob, QueueRef } from './http-queue-wire.ts';

const LOOK_MS = 30_000;
const BEAT_MS = 60_000;
/** Longer than any lease but those of volunteers, who renew at a third of it. */
const SILENT_MS = 3_600_000;
const BEATS = 256;

/** What the queue is told of an end; what else is in it goes along. */
type End = Readonly<Record<string, unknown>> & { readonly attempt: number; readonly outcome: string };

/** Speaks to a plain HTTP queue (docs/http-queue.md); what is not its own wire is the kit's. */
export const createHttpQueueAdapter: CreateFrameworkAdapter = async (parts) => {
  const { clock, log, name, settings, http, ceiling, refused, accepted, bridge } = parts;
  const inputs = bridge && createInputStore(bridge);
  const hearts = createHeartbeats({ clock, log, everyMs: BEAT_MS, silentMs: SILENT_MS, batch: BEATS, beat });
  /** Queues of which somebody may have taken jobs without hearing of it: an answer was lost, or another process took them. */
  const unsure = new Set(Object.keys(settings.queues));
  let tell: (work: Work) => void = () => undefined;
  const onRoom = (): void =>
    Object.keys(settings.queues).forEach((queue) => tell({ kind: 'available', queue, count: 1 }));
  const maxUnfinished = (): number => ceiling.current().jobs;
  const handed = createHandedJobs({ clock, accepted, maxUnfinished, onRoom });
  const inTurn = oneAtATime();

  const idOf = (ref: QueueRef): string => jobIdOf('http-queue', settings.url, ref.id, String(ref.try));
  const kill = (ref: QueueRef, reason: string): void => tell({ kind: 'kill', job: idOf(ref), reason });

  /** Makes jobs of ours of what the queue gave; what can be none, or is above the ceiling, ends there at once, with the reason. */
  async function takeIn(queue: string, given: readonly QueueJob[]): Promise<void> {
    for (const said of given) {
      const id = idOf(said);
      if (handed.isKnown(id)) continue;
      const made = await translate(said, { id, site: name, retries: settings.attempts - 1, inputs });
      const reason = made.kind === 'job' ? ceiling.fault(made.job) : made.reason;
      if (made.kind === 'job' && reason === undefined) handed.offer(queue, [made.job]);
      else {
        refused.note({ job: id, ref: said.id, reason: reason ?? '' });
        await end(said, { attempt: 0, outcome: 'failed', reason: reason ?? '' });
      }
    }
  }

  /** Whether the queue gave all that was asked for, and so may have more. */
  async function take(queue: string, max: number): Promise<boolean> {
    unsure.add(queue);
    const body = { queue: settings.queues[queue], max, worker: name };
    const { jobs } = await askQueue(http, { path: '/v1/take', body }, ANSWERS.taken);
    // More than was asked for stays with the queue, which lists it.
    await takeIn(queue, jobs.slice(0, max));
    if (jobs.length <= max) unsure.delete(queue);
    return jobs.length >= max;
  }

  /** What the queue counts as with us and does not run, what it wants ended, and whether it has more. */
  async function look(queue: string): Promise<void> {
    const { waiting, held, unwanted } = await listHeld(http, settings.queues[queue] ?? '', name);
    for (const ref of unwanted) kill(ref, 'its queue wants it ended');
    await takeIn(queue, held);
    unsure.delete(queue);
    const count = waiting + handed.waiting(queue);
    if (count > 0) tell({ kind: 'available', queue, count });
  }

  const looking = { clock, log, everyMs: LOOK_MS, failure: 'the queue was not heard' };
  const stopLooking = repeatEvery(looking, async () => {
    for (const queue of Object.keys(settings.queues)) await look(queue);
  });

  async function beat(beats: readonly Beat[], waiting = false): Promise<void> {
    const body = { beats: beatsOf(beats, waiting) };
    if (body.beats.length === 0) return;
    const { heard } = await askQueue(http, { path: '/v1/beat', body }, ANSWERS.heard);
    for (const ref of heard) {
      if (ref.state === 'unwanted') kill(ref, 'its queue wants it ended');
      if (ref.state === 'over') kill(ref, 'its queue waits for it no more');
    }
    const said = new Set(heard.map(idOf));
    if (!body.beats.every((one) => said.has(idOf(one))))
      throw new CoPilotError('UNREACHABLE', 'the queue left jobs out');
  }

  async function end(ref: QueueRef, how: End): Promise<Finished> {
    const body = { id: ref.id, try: ref.try, worker: name, ...how };
    const ended = await askQueue(http, { path: '/v1/end', body }, ANSWERS.ended);
    const isOurs = ended.id === ref.id && ended.try === ref.try;
    const isDone =
      ended.answer === 'refused' || (ended.state === how.outcome && ended.attempt === how.attempt);
    if (!isOurs || !isDone) throw new CoPilotError('UNREACHABLE', 'the queue says yes to something else');
    handed.end(idOf(ref));
    hearts.ended(idOf(ref), Infinity);
    const { answer, events } = ended;
    return answer === 'ok' && typeof events === 'number' ? { events } : answer;
  }

  /** Nothing where the job is over: news of it come late. */
  const alive = (job: string, attempt: number, progress: number, state: string): readonly Beat[] => {
    handed.accept([job]);
    if (handed.isOver(job)) return [];
    const own = { job, attempt, progress, state };
    hearts.alive(own);
    return [own];
  };
  const adapter: JobAdapter = {
    fetch: (queue, max, accepted) =>
      inTurn(async () => {
        handed.accept(accepted);
        if (unsure.has(queue)) await look(queue);
        const wanted = handed.wanted(queue, max);
        const hasMore = wanted > 0 && (await take(queue, wanted));
        const { jobs, more } = handed.take(queue, max);
        return { jobs, more: more || hasMore };
      }),
    started: (job, attempt, _agent, state) => beat(alive(job, attempt, 0, state)),
    renewed: async (job, attempt, progress, state) => void alive(job, attempt, progress, state),
    async released(job, attempt, _reason, state) {
      handed.accept([job]);
      hearts.ended(job, attempt);
      if (!handed.isOver(job)) await beat([{ job, attempt, progress: 0, state }], true);
    },
    async finished(job, attempt, files, usage, state) {
      const ref = refOf(state);
      return ref === undefined ? 'refused' : end(ref, { attempt, outcome: 'finished', files, usage });
    },
    async failed(job, outcome, reason, attempts, state) {
      const ref = refOf(state === '' ? (handed.find(job)?.state ?? '') : state);
      if (ref !== undefined) await end(ref, { attempt: attempts.at(-1)?.attempt ?? 0, outcome, reason });
    },
    onWork: (handler) => void (tell = handler),
  };
  const stop = async (): Promise<void> => void (await Promise.all([stopLooking(), hearts.stop()]));
  return { ...adapter, unfinished: () => handed.unfinished(), stop };
};
