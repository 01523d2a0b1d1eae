import { CoPilotError } from '../../../protocol/errors.ts';
import type { EventCount } from './event-count.ts';
import type { JobState } from './job-state.ts';
import type { PandaOutcome } from './outcome.ts';
import type { Json } from './panda-job.ts';
import type { Heard, JobStatus } from './panda-client.ts';
import { decodeCall, encodeAnswer, legacyAnswer, type PilotAnswer, type PilotCall } from './pilot-codec.ts';
import { commandOf } from './states.ts';

/** The pilot's final word, without anything that our storage knows better. */
export interface PilotFinal {
  readonly status: 'finished' | 'failed';
  readonly outcome: PandaOutcome;
  readonly log: string;
  /** Of how many events it says that its job was. */
  readonly events: number | undefined;
}

/** Serves the pilots that run inside jobs: each the job of its own lease, and nothing else. */
export interface PilotDesk {
  /** Rejects with `UNSUPPORTED` for a method that pilots have no use for here. */
  call(lease: PilotLease, method: string, body: string): Promise<string>;
  /** What the pilot of an attempt said last, once it said that it is done. */
  final(job: string, attempt: number): PilotFinal | undefined;
}

export interface PilotLease {
  readonly job: string;
  readonly attempt: number;
  readonly state: JobState;
}

export interface PilotDeskOptions {
  /** Tells PanDA that the job runs; the pilot's own words do not go with it. */
  readonly beat: (lease: PilotLease) => Promise<Heard>;
  readonly status: (id: number) => Promise<JobStatus>;
  readonly resourceTypes: () => Promise<Json>;
  /** What a pilot says of its events is to outlive this process. */
  readonly count: Pick<EventCount, 'said'>;
}

const STATES = new Set(['starting', 'running', 'holding', 'transferring', 'finished', 'failed']);
const NO_JOBS = 20;
const TIMED_OUT = 10;
const MAX_FINALS = 10_000;
const MAX_LOG = 1024;
const MAX_DIAG = 500;

type Method = (lease: PilotLease, call: PilotCall) => Promise<Readonly<Record<string, Json>>>;

export function createPilotDesk(options: PilotDeskOptions): PilotDesk {
  const finals = new Map<string, { readonly attempt: number; readonly final: PilotFinal }>();

  const keep = (job: string, attempt: number, final: PilotFinal): void => {
    finals.delete(job);
    finals.set(job, { attempt, final });
    const [oldest] = finals.keys();
    if (finals.size > MAX_FINALS && oldest !== undefined) finals.delete(oldest);
  };
  const finalOf = (job: string, attempt: number): PilotFinal | undefined => {
    const known = finals.get(job);
    return known?.attempt === attempt ? known.final : undefined;
  };

  const methods: Readonly<Record<string, Method>> = {
    /** The one job of the lease, again and again until its end was said: an answer may be lost on its way. */
    async getJob({ job, attempt, state }) {
      return finalOf(job, attempt) === undefined
        ? { StatusCode: 0, ...state.members }
        : { StatusCode: NO_JOBS };
    },
    async updateJob(lease, { fields }) {
      const { jobId, state: status = '', attemptNr } = fields;
      // As PanDA has it: an unknown state changes nothing, a job of another pilot is to end.
      if (!STATES.has(status)) return { StatusCode: 0 };
      const isOurs =
        jobId === String(lease.state.id) &&
        (attemptNr ?? '') !== '' &&
        Number(attemptNr) === lease.state.attempt;
      if (!isOurs) return { StatusCode: 0, command: 'tobekilled' };
      if (status === 'finished' || status === 'failed') {
        const final = finalIn(status, fields);
        if (final.events !== undefined) await options.count.said(lease.job, lease.attempt, final.events);
        keep(lease.job, lease.attempt, final);
        return { StatusCode: 0, command: 'NULL' };
      }
      const heard = await options.beat(lease);
      if (heard.kind === 'not-heard') return { StatusCode: TIMED_OUT };
      return { StatusCode: 0, command: commandOf(heard.command) === 'kill' ? 'tobekilled' : 'NULL' };
    },
    async getStatus({ state }, { fields }) {
      const ids = (fields['ids'] ?? '').split(' ').slice(0, 100);
      const isOwn = (id: string): boolean => id === String(state.id);
      const own = ids.some(isOwn) ? await options.status(state.id) : undefined;
      const of = (id: string): { readonly status: string; readonly attempt: number } =>
        own !== undefined && isOwn(id) ? own : { status: 'notfound', attempt: 0 };
      return {
        StatusCode: 0,
        status: ids.map((id) => of(id).status).join('+'),
        attemptNr: ids.map((id) => of(id).attempt).join('+'),
      };
    },
    /** The worker is ours, and no harvester's: there is nobody to tell. */
    updateWorkerPilotStatus: async () => ({ StatusCode: 0 }),
    getResourceTypes: async () => ({ StatusCode: 0, ResourceTypes: await options.resourceTypes() }),
  };

  const answered = async (lease: PilotLease, method: Method, call: PilotCall): Promise<PilotAnswer> =>
    legacyAnswer(call.accept, await method(lease, call));

  return {
    async call(lease, name, body) {
      const method = Object.hasOwn(methods, name) ? methods[name] : undefined;
      if (method === undefined || lease.state.members === undefined)
        throw new CoPilotError('UNSUPPORTED', 'a job of PanDA takes no such call');
      const decoded = decodeCall(body);
      if (decoded === undefined)
        throw new CoPilotError('MALFORMED_REQUEST', 'the call is no request of a pilot');
      return encodeAnswer(
        decoded.kind === 'answer' ? decoded.answer : await answered(lease, method, decoded.call),
      );
    },
    final: finalOf,
  };
}

/** Numbers that are numbers, text that is text, and no more of it than PanDA keeps. The report (`xml`) is not looked at. */
function finalIn(status: 'finished' | 'failed', fields: PilotCall['fields']): PilotFinal {
  const number = (name: string): number => {
    const text = fields[name] ?? '';
    return /^-?\d{1,9}$/u.test(text) ? Number(text) : 0;
  };
  return {
    status,
    outcome: {
      pilotErrorCode: number('pilotErrorCode'),
      pilotErrorDiag: printable(fields['pilotErrorDiag'] ?? '', MAX_DIAG),
      transExitCode: number('transExitCode'),
    },
    log: printable(fields['pilotLog'] ?? '', MAX_LOG),
    events: /^\d{1,9}$/u.test(fields['nEvents'] ?? '') ? Number(fields['nEvents']) : undefined,
  };
}

function printable(text: string, most: number): string {
  return text.replaceAll(/[^\n -~]+/gu, '?').slice(0, most);
}
