import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { Cancel } from '../../../protocol/runtime/runtime.ts';
import type { FailedAttempt, StoredFile, Work } from '../job-adapter.ts';
import type { Usage } from '../../../protocol/generated/types.ts';
import type { FrameworkAdapter, FrameworkParts } from '../kit/framework-adapter.ts';
import { createFrameworkHttp, type FrameworkHttp } from '../kit/framework-http.ts';
import { createHandedJobs } from '../kit/handed-jobs.ts';
import { type Beat, createHeartbeats } from '../kit/heartbeats.ts';
import { createInputStore } from '../kit/input-store.ts';
import { createBatches } from './batches.ts';
import { createLegacyClient } from './client-legacy.ts';
import { createV1Client } from './client-v1.ts';
import { createEventParts } from './event-parts.ts';
import { createIdentityCheck } from './identity-check.ts';
import { createInputFetcher, noStore } from './input-fetcher.ts';
import { createIntake } from './intake.ts';
import { decodeState, type JobState } from './job-state.ts';
import { outcomeFor, outcomeOf, type PandaOutcome } from './outcome.ts';
import { outputReport } from './output-report.ts';
import { type Heard, type JobStatus, type JobUpdate, MAX_UPDATES, type PandaClient } from './panda-client.ts';
import { type PandaOptions, readOptions } from './panda-options.ts';
import { PILOT_ERRORS } from './pilot-errors.ts';
import { createPilotDesk, type PilotFinal } from './pilot-desk.ts';
import { commandOf, toldOf } from './states.ts';
import type { TakenJobs } from './taken-jobs.ts';

/** How often it is said again that jobs may wait, and which are to end. */
const REMIND_MS = 30_000;
const HOUR_MS = 3_600_000;
/** A job whose agent nobody heard of for longer is PanDA's to take back, */
const SILENT_MS = 3 * HOUR_MS;
/** and so is one that waits for an agent for longer. */
const WAITING_MS = 24 * HOUR_MS;
const NO_RESULT = 0;
const MAX_ENDED = 100_000;
const MAX_KILLED = 10_000;
const MAX_LOG = 1024;
const FETCH_MS = 120_000;

/** The adapter of one PanDA server. */
export async function createPandaAdapter(parts: FrameworkParts, taken: TakenJobs): Promise<FrameworkAdapter> {
  const { clock, log, name, settings, http, ceiling, bridge } = parts;
  const options = readOptions(settings, name);
  const client = clientOf(options, http);
  const identity = createIdentityCheck({ client, clock, log });
  const lines = openLines(parts, options);
  const handed = createHandedJobs({ clock, maxUnfinished: () => ceiling.current().jobs });
  const updates = createBatches<JobUpdate, Heard>(MAX_UPDATES, (items) => client.update(items));
  const statuses = createBatches<number, JobStatus>(MAX_UPDATES, (ids) => client.status(ids));
  const events = createEventParts(client);
  /** Jobs that are over, each with the attempt whose result PanDA has; 0 for those without one. */
  const ended = createRecent<number>(MAX_ENDED);
  const killed = createRecent<true>(MAX_KILLED);
  /** The lowest attempt that may be alive. */
  const lowest = createRecent<number>(MAX_ENDED);
  let handler: ((work: Work) => void) | undefined;
  let reminder: Cancel | undefined;

  const tellKill = (job: string): void => {
    killed.set(job, true);
    handler?.({ kind: 'kill', job, reason: 'PanDA wants it ended' });
  };
  const tellAvailable = (queue: string): void => handler?.({ kind: 'available', queue, count: 1 });
  const obey = (job: string, heard: Heard | undefined): void => {
    if (heard?.kind === 'heard' && commandOf(heard.command) !== 'none' && ended.get(job) === undefined)
      tellKill(job);
  };
  const beat = async (batch: readonly Beat[]): Promise<void> => {
    const known = batch.flatMap(({ job, attempt, state }) => {
      const own = decodeState(state);
      return own === undefined ? [] : [{ job, update: runningUpdate(own, attempt) }];
    });
    const answers = await client.update(known.map(({ update }) => update));
    known.forEach(({ job }, at) => obey(job, answers[at]));
  };
  const beats = { clock, log, everyMs: options.heartbeatMs, batch: MAX_UPDATES, beat };
  const running = createHeartbeats({ ...beats, silentMs: SILENT_MS });
  const idle = createHeartbeats({ ...beats, silentMs: WAITING_MS });
  /** In PanDA a job that waits for another agent goes on as it was: `starting` does not bring it back. */
  const waits = (job: string, state: string): void => idle.alive({ job, attempt: 0, progress: 0, state });
  const runs = (job: string, attempt: number, progress: number, state: string): void => {
    if (attempt < (lowest.get(job) ?? 0)) return;
    lowest.set(job, attempt);
    idle.ended(job, 0);
    running.alive({ job, attempt, progress, state });
  };
  const intake = createIntake({
    clock,
    log,
    options,
    server: settings.url,
    queues: settings.queues,
    retries: settings.attempts - 1,
    client,
    update: (update) => updates.ask(update),
    inputs: createInputFetcher({
      store: bridge === undefined ? noStore : createInputStore(bridge),
      clock,
      withCredential: lines.withCredential,
      withoutCredential: lines.withoutCredential,
      maxBytes: options.maxInputBytes,
    }),
    handed,
    ceiling,
    refused: parts.refused,
    taken,
    onReady: ({ job, state = '' }) => waits(job, state),
    onUnwanted: tellKill,
    onLate: tellAvailable,
  });
  const pilots = createPilotDesk({
    beat: ({ job, attempt, state }) => {
      const heard = updates.ask(runningUpdate(state, attempt));
      void heard.then(
        (said) => obey(job, said),
        () => undefined, // the pilot is told that nobody heard it
      );
      return heard;
    },
    status: (id) => statuses.ask(id),
    resourceTypes: () => client.resourceTypes(),
  });

  function runningUpdate(state: JobState, attempt: number, node = options.scheduler): JobUpdate {
    const { id, site } = state;
    return { id, attempt: state.attempt, site, node, status: attempt === 0 ? 'starting' : 'running' };
  }

  const end = (job: string, attempt: number): void => {
    ended.set(job, attempt);
    killed.remove(job);
    running.ended(job, Number.MAX_SAFE_INTEGER);
    idle.ended(job, 0);
    intake.ended(job);
    events.forget(job);
  };
  /** News of a job: what the broker speaks of, it has. */
  const hear = (job: string, state: string): JobState | undefined => {
    const known = decodeState(state);
    if (known === undefined || ended.get(job) !== undefined) return undefined;
    intake
      .accepted([job])
      .catch((caught: unknown) => log.warn({ err: caught }, 'a job could not be struck off'));
    if (killed.get(job) !== undefined) tellKill(job);
    return known;
  };

  /** A job that the broker had no use for comes back without a state. */
  const unnamed = (id: string): JobState | undefined => {
    const found = intake.waiting(id);
    if (found === undefined) return undefined;
    const { job, site } = found;
    const none = { outputs: [], task: undefined, jobset: undefined, takesEvents: false, members: undefined };
    return { id: job.id, attempt: job.attempt, site, ...none };
  };

  /** Says the last word, and looks whether PanDA has it. */
  async function settle(state: JobState, update: LastWord): Promise<'told' | 'refused'> {
    const { id, attempt, site } = state;
    const heard = await updates.ask({
      id,
      attempt,
      site,
      node: options.scheduler,
      endMs: clock.wallMs(),
      ...update,
    });
    if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
    const told = toldOf(update.status, attempt, await statuses.ask(id), commandOf(heard.command));
    if (told === 'not-told')
      throw new CoPilotError(
        'UNREACHABLE',
        'PanDA says yes to the end of the job, and still calls it running',
      );
    return told;
  }

  async function finish(
    result: { readonly job: string; readonly attempt: number },
    state: JobState,
    manifest: readonly StoredFile[],
    usage: Usage,
  ): Promise<'ok' | 'refused'> {
    const final = pilots.final(result.job, result.attempt);
    const isFailed = final?.status === 'failed';
    const wanted = isFailed ? onlyLog(state, manifest) : state;
    const report = outputReport(wanted, manifest, options, result);
    if (report.kind !== 'report') {
      const error = report.kind === 'empty' ? PILOT_ERRORS.emptyOutput : PILOT_ERRORS.missingOutput;
      await settle(state, { status: 'failed', outcome: outcomeFor(error, report.lfn), ...usageOf(usage) });
      return 'refused';
    }
    if (final !== undefined && isFailed) {
      await settle(state, { ...failure(final), report: report.text, ...usageOf(usage) });
      return 'refused';
    }
    const outcome: PandaOutcome = { pilotErrorCode: 0, pilotErrorDiag: '', transExitCode: 0 };
    const told = await settle(state, { status: 'finished', outcome, report: report.text, ...usageOf(usage) });
    return told === 'told' ? 'ok' : 'refused';
  }

  const remind = (): void => {
    for (const queue of Object.keys(settings.queues)) tellAvailable(queue);
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
      return intake.fetch(queue, max, []);
    },
    async started(job, attempt, agent, state) {
      const known = hear(job, state);
      if (known === undefined) return;
      runs(job, attempt, 0, state);
      const heard = await updates.ask(runningUpdate(known, attempt, agent));
      obey(job, heard);
      if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
    },
    async renewed(job, attempt, progress, state) {
      if (hear(job, state) !== undefined) runs(job, attempt, progress, state);
    },
    async released(job, attempt, _reason, state) {
      if (hear(job, state) === undefined || attempt < (lowest.get(job) ?? 0)) return;
      lowest.set(job, attempt + 1);
      running.ended(job, attempt);
      waits(job, state);
    },
    async finished(job, attempt, manifest, usage, state) {
      const known = decodeState(state);
      if (known === undefined) return 'refused';
      // PanDA does not count our attempts: the first result stays.
      const before = ended.get(job) ?? attempt;
      if (before !== attempt) return 'refused';
      const answer = await finish({ job, attempt }, known, manifest, usage);
      end(job, answer === 'ok' ? attempt : NO_RESULT);
      return answer;
    },
    async failed(job, outcome, reason, attempts, state) {
      const known = decodeState(state) ?? unnamed(job);
      if (known === undefined) return;
      const last = attempts.at(-1);
      const final = last && pilots.final(job, last.attempt);
      const update =
        final?.status === 'failed' && outcome === 'failed'
          ? failure(final)
          : { status: 'failed' as const, outcome: outcomeOf(outcome, reason, last), ...logOf(last) };
      await settle(known, update);
      end(job, ended.get(job) ?? NO_RESULT);
    },
    onWork(next) {
      handler = next;
      reminder ??= clock.schedule(0, remind);
    },
    async call(job, attempt, method, body, state) {
      const known = decodeState(state);
      if (known === undefined) throw new CoPilotError('UNSUPPORTED', 'the job takes no calls');
      return pilots.call({ job, attempt, state: known }, method, body);
    },
    async parts(job, attempt, verb, named, state) {
      const known = decodeState(state);
      if (known === undefined) throw new CoPilotError('UNSUPPORTED', 'the job has no parts');
      return events.parts({ job, attempt, state: known }, verb, named);
    },
    unfinished: () => handed.unfinished(),
    async stop() {
      reminder?.();
      intake.stop();
      lines.stop();
      await running.stop();
      await idle.stop();
    },
  };
}

/** What is told of the end of a job. */
interface LastWord extends Used {
  readonly status: 'finished' | 'failed';
  readonly outcome: PandaOutcome;
  readonly report?: string;
  readonly log?: string;
}

type Used = Pick<JobUpdate, 'cpuSeconds' | 'maxMemoryKiB'>;

function usageOf({ cpuSeconds, memoryMiB }: Usage): Used {
  return { cpuSeconds, maxMemoryKiB: memoryMiB * 1024 };
}

function clientOf({ api, origin, scheduler, label }: PandaOptions, http: FrameworkHttp): PandaClient {
  const make = api === 'v1' ? createV1Client : createLegacyClient;
  return make({ http, origin, scheduler, label });
}

/** Lines to storage elements and to where transformations are, opened once for each. */
function openLines({ settings, credential, clock }: FrameworkParts, { maxInputBytes }: PandaOptions) {
  const open = new Map<string, Promise<FrameworkHttp>>();
  const { caFile } = settings.credential;
  const lineTo = (origin: string, isTrusted: boolean): Promise<FrameworkHttp> => {
    const key = `${String(isTrusted)} ${origin}`;
    const known = open.get(key);
    if (known !== undefined) return known;
    const line = createFrameworkHttp({
      url: origin,
      ...(isTrusted && { credential }),
      ...(caFile !== undefined && { caFile }),
      timeoutMs: FETCH_MS,
      maxAnswerBytes: maxInputBytes,
      clock,
    });
    open.set(key, line);
    return line;
  };
  return {
    withCredential: (origin: string) => lineTo(origin, true),
    withoutCredential: (origin: string) => lineTo(origin, false),
    stop(): void {
      for (const line of open.values())
        line.then(
          (http) => http.stop(),
          () => undefined, // it was never open
        );
    },
  };
}

/** Of a payload that failed, PanDA wants the log where there is one. */
function onlyLog(state: JobState, manifest: readonly StoredFile[]): JobState {
  const names = new Set(manifest.map((file) => file.name));
  return { ...state, outputs: state.outputs.filter(({ guid, lfn }) => guid !== undefined && names.has(lfn)) };
}

function failure({ outcome, log }: PilotFinal): LastWord {
  return { status: 'failed', outcome, ...(log !== '' && { log }) };
}

function logOf(last: FailedAttempt | undefined): { readonly log?: string } {
  const tail = last?.logTail.replaceAll(/[^\n -~]+/gu, '?').slice(-MAX_LOG) ?? '';
  return tail === '' ? {} : { log: tail };
}

interface Recent<Value> {
  set(id: string, value: Value): void;
  remove(id: string): void;
  get(id: string): Value | undefined;
}

/** What is known of the ids of late; the one set longest ago is forgotten first. */
function createRecent<Value>(most: number): Recent<Value> {
  const values = new Map<string, Value>();
  return {
    set(id, value) {
      values.delete(id);
      values.set(id, value);
      const [oldest] = values.keys();
      if (values.size > most && oldest !== undefined) values.delete(oldest);
    },
    remove: (id) => void values.delete(id),
    get: (id) => values.get(id),
  };
}
