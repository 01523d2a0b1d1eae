import { CoPilotError } from '../../../protocol/errors.ts';
import type { Usage } from '../../../protocol/generated/types.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { FailedAttempt, StoredFile } from '../job-adapter.ts';
import type { JobState } from './job-state.ts';
import { outcomeFor, outcomeOf, type PandaOutcome } from './outcome.ts';
import { type OutputPlace, outputReport, type ResultName } from './output-report.ts';
import type { Heard, JobStatus, JobUpdate } from './panda-client.ts';
import { PILOT_ERRORS } from './pilot-errors.ts';
import type { PilotFinal } from './pilot-desk.ts';
import { commandOf, toldOf } from './states.ts';

/** Tells PanDA how jobs end, and looks whether it has it. All reject where that cannot be said yet. */
export interface LastWords {
  /** `ok` once PanDA has the result, `refused` once it never will. `final` is what a pilot inside the job said of its end. */
  finished(end: FinishedJob): Promise<'ok' | 'refused'>;
  failed(end: FailedJob): Promise<void>;
}

export interface FinishedJob {
  readonly result: ResultName;
  readonly state: JobState;
  readonly manifest: readonly StoredFile[];
  readonly usage: Usage;
  /** Of how many events the job was; undefined where nobody knows. */
  readonly events: number | undefined;
  readonly final: PilotFinal | undefined;
}

export interface FailedJob {
  readonly state: JobState;
  readonly outcome: 'failed' | 'cancelled';
  readonly reason: string;
  readonly last: FailedAttempt | undefined;
  readonly final: PilotFinal | undefined;
}

export interface LastWordsOptions {
  readonly clock: Clock;
  readonly scheduler: string;
  readonly place: OutputPlace;
  readonly update: (update: JobUpdate) => Promise<Heard>;
  readonly status: (id: number) => Promise<JobStatus>;
}

interface LastWord extends Used {
  readonly status: 'finished' | 'failed';
  readonly outcome: PandaOutcome;
  readonly report?: string;
  readonly log?: string;
}

type Used = Pick<JobUpdate, 'cpuSeconds' | 'maxMemoryKiB' | 'events'>;

const MAX_LOG = 1024;
const WELL: PandaOutcome = { pilotErrorCode: 0, pilotErrorDiag: '', transExitCode: 0 };

export function createLastWords({ clock, scheduler, place, update, status }: LastWordsOptions): LastWords {
  async function say({ id, attempt, site }: JobState, word: LastWord): Promise<'told' | 'refused'> {
    const heard = await update({ id, attempt, site, node: scheduler, endMs: clock.wallMs(), ...word });
    if (heard.kind === 'not-heard') throw new CoPilotError('UNREACHABLE', heard.why);
    const told = toldOf(word.status, attempt, await status(id), commandOf(heard.command));
    if (told !== 'not-told') return told;
    throw new CoPilotError('UNREACHABLE', 'PanDA says yes to the end of the job, and still calls it running');
  }

  return {
    async finished({ result, state, manifest, usage, events, final }) {
      const isFailed = final?.status === 'failed';
      const report = outputReport(isFailed ? onlyLog(state, manifest) : state, manifest, place, result);
      const used = { ...usedOf(usage), ...(events !== undefined && { events }) };
      if (report.kind !== 'report') {
        const error = report.kind === 'empty' ? PILOT_ERRORS.emptyOutput : PILOT_ERRORS.missingOutput;
        await say(state, { status: 'failed', outcome: outcomeFor(error, report.lfn), ...used });
        return 'refused';
      }
      if (final !== undefined && isFailed) {
        await say(state, { ...failureOf(final), report: report.text, ...used });
        return 'refused';
      }
      const told = await say(state, { status: 'finished', outcome: WELL, report: report.text, ...used });
      return told === 'told' ? 'ok' : 'refused';
    },
    async failed({ state, outcome, reason, last, final }) {
      const isPilots = final?.status === 'failed' && outcome === 'failed';
      await say(
        state,
        isPilots
          ? failureOf(final)
          : { status: 'failed', outcome: outcomeOf(outcome, reason, last), ...logOf(last) },
      );
    },
  };
}

/** Of a payload that failed, PanDA wants the log where there is one. */
function onlyLog(state: JobState, manifest: readonly StoredFile[]): JobState {
  const names = new Set(manifest.map((file) => file.name));
  return { ...state, outputs: state.outputs.filter(({ guid, lfn }) => guid !== undefined && names.has(lfn)) };
}

function failureOf({ outcome, log }: PilotFinal): LastWord {
  return { status: 'failed', outcome, ...(log !== '' && { log }) };
}

function usedOf({ cpuSeconds, memoryMiB }: Usage): Used {
  return { cpuSeconds, maxMemoryKiB: memoryMiB * 1024 };
}

function logOf(last: FailedAttempt | undefined): { readonly log?: string } {
  const tail = last?.logTail.replaceAll(/[^\n -~]+/gu, '?').slice(-MAX_LOG) ?? '';
  return tail === '' ? {} : { log: tail };
}
