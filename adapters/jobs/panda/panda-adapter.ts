import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { Cancel } from '../../../protocol/runtime/runtime.ts';
import type { Work } from '../job-adapter.ts';
import type { FrameworkAdapter, FrameworkParts } from '../kit/framework-adapter.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import { createHandedJobs } from '../kit/handed-jobs.ts';
import { createInputStore } from '../kit/input-store.ts';
import type { JobJournal } from '../kit/job-journal.ts';
import { repeatEvery } from '../kit/repeat-every.ts';
import { createBatches } from './batches.ts';
import { createLegacyClient } from './client-legacy.ts';
import { createV1Client } from './client-v1.ts';
import { createEventCount, type EventCount } from './event-count.ts';
import { createEventParts, type EventParts } from './event-parts.ts';
import { createIdentityCheck, type IdentityCheck } from './identity-check.ts';
import { createInputFetcher, noStore } from './input-fetcher.ts';
import { type InputLines, openInputLines } from './input-lines.ts';
import { createIntake, type Intake } from './intake.ts';
import type { JobNotes } from './job-notes.ts';
import { decodeState, type JobState } from './job-state.ts';
import { createLastWords, type LastWords } from './last-words.ts';
import { createLiveJobs, type LiveJobs, NO_RESULT } from './live-jobs.ts';
import { type Heard, type JobStatus, type JobUpdate, MAX_UPDATES, type PandaClient } from './panda-client.ts';
import { type PandaOptions, readOptions } from './panda-options.ts';
import { createPilotDesk, type PilotDesk } from './pilot-desk.ts';
import type { TakenJob } from './taken-job.ts';

/** How often it is said again that jobs may wait. */
const REMIND_MS = 30_000;
const DAY_MS = 86_400_000;
/** Longer than any job that a broker may still ask about. */
const NOTES_MS = 30 * DAY_MS;

/** What the broker is told unasked. */
interface Voice {
  readonly available: (queue: string) => void;
  readonly kill: (job: string) => void;
}

/** The parts of an adapter, each over those before it. */
interface Built {
  readonly identity: IdentityCheck;
  readonly live: LiveJobs;
  readonly intake: Intake;
  readonly words: LastWords;
  readonly pilots: PilotDesk;
  readonly events: EventParts;
  readonly lines: InputLines;
  readonly update: (update: JobUpdate) => Promise<Heard>;
  readonly unfinished: () => number;
}

/** The adapter of one PanDA server. Rejects with `INVALID_CONFIGURATION` for an option that it cannot use. */
export async function createPandaAdapter(
  parts: FrameworkParts,
  journal: JobJournal<TakenJob>,
  notes: JobNotes,
): Promise<FrameworkAdapter> {
  const { clock, log, name, settings } = parts;
  const options = readOptions(settings, name);
  let handler: ((work: Work) => void) | undefined;
  let reminder: Cancel | undefined;
  const voice: Voice = {
    available: (queue) => handler?.({ kind: 'available', queue, count: 1 }),
    kill: (job) => handler?.({ kind: 'kill', job, reason: 'PanDA wants it ended' }),
  };
  const count = createEventCount(notes);
  const built = build(parts, { options, journal, count, voice });
  const { identity, live, intake, words, pilots, events, lines, update, unfinished } = built;
  const stopForgetting = repeatEvery(
    { clock, log, everyMs: DAY_MS, failure: 'notes of old jobs were not removed' },
    () => notes.forgetBefore(clock.wallMs() - NOTES_MS),
  );

  /** News of a job. Undefined for what is none of ours, or over. */
  const hear = (job: string, state: string): JobState | undefined => {
    const known = decodeState(state);
    if (known === undefined || live.endOf(job) !== undefined) return undefined;
    live.remind(job);
    return known;
  };
  const end = (job: string, attempt: number): void => {
    live.ended(job, attempt);
    intake.ended(job);
    events.forget(job);
  };
  const remind = (): void => {
    for (const queue of Object.keys(settings.queues)) voice.available(queue);
    reminder = clock.schedule(REMIND_MS, remind);
  };

  // A PanDA that is down, or a role that is not there yet, is no reason not to begin; why no jobs come, each fetch says.
  identity
    .check()
    .catch((caught: unknown) =>
      log.warn({ code: toCoPilotError(caught).code }, 'PanDA could not be asked who we are'),
    );
  intake.resume();

  return {
    async fetch(queue, max, accepted) {
      await intake.accepted(accepted);
      await identity.require();
      return intake.fetch(queue, max);
    },
    async started(job, attempt, agent, state) {
      const known = hear(job, state);
      if (known === undefined) return;
      intake.runs(job);
      live.runs(job, attempt, 0, state);
      const heard = await update(live.update(known, attempt, agent));
      live.obey(job, heard);
      if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
    },
    async renewed(job, attempt, progress, state) {
      if (hear(job, state) === undefined) return;
      intake.runs(job);
      live.runs(job, attempt, progress, state);
    },
    async released(job, attempt, _reason, state) {
      if (hear(job, state) === undefined) return;
      intake.waits(job, state);
      live.released(job, attempt, state);
    },
    async finished(job, attempt, manifest, usage, state) {
      const known = decodeState(state);
      // PanDA does not count our attempts: the first result stays.
      if (known === undefined || (live.endOf(job) ?? attempt) !== attempt) return 'refused';
      const result = { job, attempt };
      const final = pilots.final(job, attempt);
      // No other job says anything of its events.
      const saysEvents = known.takesEvents || known.members !== undefined;
      const events = saysEvents ? await count.of(job, attempt) : undefined;
      const answer = await words.finished({ result, state: known, manifest, usage, events, final });
      end(job, answer === 'ok' ? attempt : NO_RESULT);
      return answer === 'refused' || events === undefined ? answer : { events };
    },
    async failed(job, outcome, reason, attempts, state) {
      // A job that the broker had no use for comes back without a state.
      const known = decodeState(state) ?? intake.waiting(job);
      if (known === undefined) return;
      const last = attempts.at(-1);
      const final = last && pilots.final(job, last.attempt);
      await words.failed({ state: known, outcome, reason, last, final });
      end(job, live.endOf(job) ?? NO_RESULT);
    },
    onWork(next) {
      handler = next;
      reminder ??= clock.schedule(0, remind);
    },
    async call(job, attempt, method, body, state) {
      return pilots.call({ job, attempt, state: requireState(state) }, method, body);
    },
    async parts(job, attempt, verb, named, state) {
      return events.parts({ job, attempt, state: requireState(state) }, verb, named);
    },
    unfinished,
    async stop() {
      reminder?.();
      await stopForgetting();
      intake.stop();
      lines.stop();
      await live.stop();
      await journal.close();
    },
  };
}

function requireState(text: string): JobState {
  const state = decodeState(text);
  if (state === undefined) throw new CoPilotError('UNSUPPORTED', 'the job is none of this adapter');
  return state;
}

function build(
  { clock, log, settings, http, ceiling, refused, accepted, bridge, credential }: FrameworkParts,
  {
    options,
    journal,
    count,
    voice,
  }: {
    readonly options: PandaOptions;
    readonly journal: JobJournal<TakenJob>;
    readonly count: EventCount;
    readonly voice: Voice;
  },
): Built {
  const { scheduler } = options;
  const client = clientOf(options, http);
  const updates = createBatches<JobUpdate, Heard>({
    most: MAX_UPDATES,
    keyOf: ({ id }) => id,
    run: (items) => client.update(items),
  });
  const statuses = createBatches<number, JobStatus>({
    most: MAX_UPDATES,
    keyOf: (id) => id,
    run: (ids) => client.status(ids),
  });
  const update = (one: JobUpdate): Promise<Heard> => updates.ask(one);
  const status = (id: number): Promise<JobStatus> => statuses.ask(id);
  const lines = openInputLines({ settings, credential, clock }, options.maxInputBytes);
  const handed = createHandedJobs({
    clock,
    accepted,
    maxUnfinished: () => ceiling.current().jobs,
    onRoom: () => Object.keys(settings.queues).forEach(voice.available),
  });
  const live = createLiveJobs({
    clock,
    log,
    everyMs: options.heartbeatMs,
    scheduler,
    tell: (items) => client.update(items),
    onKill: voice.kill,
  });
  const inputs = createInputFetcher({
    store: bridge === undefined ? noStore : createInputStore(bridge),
    clock,
    lines,
    maxBytes: options.maxInputBytes,
  });
  const intake = createIntake({
    clock,
    log,
    options,
    server: settings.url,
    queues: settings.queues,
    retries: settings.attempts - 1,
    client,
    update,
    inputs,
    handed,
    ceiling,
    refused,
    journal,
    onReady: (job, state) => live.waits(job, state),
    onUnwanted: live.kill,
    onLate: voice.available,
  });
  const pilots = createPilotDesk({
    async beat({ job, attempt, state }) {
      const heard = await update(live.update(state, attempt));
      live.obey(job, heard);
      return heard;
    },
    status,
    resourceTypes: () => client.resourceTypes(),
    count,
  });
  return {
    identity: createIdentityCheck({ client, clock, log }),
    live,
    intake,
    words: createLastWords({ clock, scheduler, place: options, update, status }),
    pilots,
    events: createEventParts(client, count),
    lines,
    update,
    unfinished: () => handed.unfinished(),
  };
}

/** Speaks the dialect that the options name. */
export function clientOf({ api, origin, scheduler, label }: PandaOptions, http: FrameworkHttp): PandaClient {
  const make = api === 'v1' ? createV1Client : createLegacyClient;
  return make({ http, origin, scheduler, label });
}
