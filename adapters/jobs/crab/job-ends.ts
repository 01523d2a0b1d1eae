import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { FailedAttempt, Finished, StoredFile } from '../job-adapter.ts';
import type { Usage } from '../../../protocol/generated/types.ts';
import type { ResultReader } from '../kit/result-reader.ts';
import type { CrabRest } from './crab-rest.ts';
import { CODES, codeOf, decideRetry, reasonOf } from './exit-policy.ts';
import {
  type JobFile,
  metadataOf,
  type RecordTerms,
  transferAgain,
  transferEnd,
  transferId,
  transferOf,
  type WantedFile,
  wantedFiles,
} from './file-records.ts';
import { MAX_STATUS_BYTES, REPORT_FILE, STATUS_FILE } from './job-description.ts';
import { type JobReport, MAX_REPORT_BYTES, readReport } from './job-report.ts';
import { APP, CrabRefusal, isObject } from './rest-answer.ts';
import type { StageOut } from './stage-out.ts';
import { TASK_LIFE_SECONDS } from './task-handlers.ts';
import { isEnded, type StoredJob, type StoredTask } from './stored-job.ts';
import type { TaskStore } from './task-store.ts';

/** Turns what became of a try into CRAB's own words, and tells them. */
export interface JobEnds {
  /** 'refused' where the report says that the job failed, or where CRAB will never have the result. */
  finished(job: StoredJob, attempt: number, manifest: readonly StoredFile[], usage: Usage): Promise<Finished>;
  failed(job: StoredJob, reason: string, attempts: readonly FailedAttempt[]): void;
}

export interface JobEndOptions {
  readonly rest: CrabRest;
  readonly store: TaskStore;
  readonly results: ResultReader;
  readonly stageOut: StageOut;
  readonly cmsSite: string;
  readonly mostRetries: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onJobs: () => void;
}

const MAX_MESSAGE = 400;

export function createJobEnds(options: JobEndOptions): JobEnds {
  const { rest, store, results, stageOut, cmsSite, mostRetries, clock, log } = options;
  const nowSeconds = (): number => Math.floor(clock.wallMs() / 1000);

  /** Ends this try as failed, and begins the next one where the code allows it. */
  function end(job: StoredJob, code: number, why: string, attempt: number, usedMemoryMiB?: number): void {
    const found = store.task(job.task);
    const isExpired = found === undefined || found.task.startedSeconds + TASK_LIFE_SECONDS < nowSeconds();
    const { retry, bounds } = job;
    const used = usedMemoryMiB === undefined ? {} : { usedMemoryMiB };
    const decision = decideRetry({ code, retry, bounds, isExpired, ...used }, mostRetries);
    const message = `${reasonOf(code)}${why === '' ? '' : `: ${why}`}`.slice(0, MAX_MESSAGE);
    log.info(
      { task: job.task, number: job.number, retry, code, next: decision.kind },
      'a try of a job failed',
    );
    const change = { isAccepted: true, attempt, code, message, endSeconds: nowSeconds() };
    const next =
      decision.kind === 'retry' ? { ...decision, dueMs: clock.wallMs() + decision.delayMs } : undefined;
    store.fail(job, change, next && { bounds: next.bounds, dueMs: next.dueMs, state: 'cooloff' });
  }

  async function report(
    job: StoredJob,
    attempt: number,
    manifest: readonly StoredFile[],
  ): Promise<JobReport | undefined> {
    const file = manifest.find(({ name }) => name === REPORT_FILE);
    if (file === undefined || file.size > MAX_REPORT_BYTES) return undefined;
    const found = readReport(await results.bytes({ job: job.id, attempt, ...file }, MAX_REPORT_BYTES));
    if (found === undefined || found.exitCode !== 0) return found;
    const status = await shellStatus(job, attempt, manifest);
    return { ...found, exitCode: status };
  }

  /** What the wrapper's shell said counts where the report does not know of it. */
  async function shellStatus(
    job: StoredJob,
    attempt: number,
    manifest: readonly StoredFile[],
  ): Promise<number> {
    const file = manifest.find(({ name }) => name === STATUS_FILE);
    if (file === undefined || file.size > MAX_STATUS_BYTES) return CODES.noCode;
    const text = Buffer.from(
      await results.bytes({ job: job.id, attempt, ...file }, MAX_STATUS_BYTES),
    ).toString('latin1');
    return /^[0-9]{1,3}\s*$/.test(text) ? Number(text) : CODES.noCode;
  }

  async function tell(job: StoredJob, found: StoredTask, good: GoodResult): Promise<void> {
    const isRepeat = job.toldSeconds !== 0;
    const startSeconds = isRepeat ? job.toldSeconds : nowSeconds();
    if (!isRepeat) store.change(job.id, { toldSeconds: startSeconds });
    await store.settled();
    const terms: RecordTerms = {
      task: found.task,
      number: job.number,
      retry: job.retry,
      cmsSite,
      startSeconds,
    };
    const told: WantedFile[] = [];
    for (const wanted of wantedFiles(found.task, job.number)) {
      const stored = good.manifest.find(({ name }) => name === wanted.name);
      // A log that was not written is no reason to lose a result.
      if (stored === undefined) continue;
      const file = await carry(job, good.attempt, stored, wanted);
      const reported = good.report.outputs.find(({ name }) => isSameFile(name, wanted.name, job.number));
      await rest.put('filemetadata', metadataOf(terms, wanted, file, reported));
      if (wanted.isMoved) await askTransfer(terms, wanted, stored.size, isRepeat || job.retry > 0);
      told.push(wanted);
    }
    await requireThere(found.task.name, told);
  }

  async function carry(
    job: StoredJob,
    attempt: number,
    stored: StoredFile,
    wanted: WantedFile,
  ): Promise<JobFile> {
    const { name, size, sha256, adler32, md5 } = stored;
    if (adler32 === undefined || md5 === undefined)
      throw new CoPilotError(
        'INVALID_CONFIGURATION',
        'bridge.digests has to name md5 and adler32 for results of CRAB',
      );
    const cksum = await stageOut.put({ job: job.id, attempt, name, size, sha256 }, wanted.temporaryLfn);
    return { name, size, adler32, md5, cksum };
  }

  /** A second PUT of an id is an error at the server: what may be there is looked for first. */
  async function askTransfer(
    terms: RecordTerms,
    wanted: WantedFile,
    size: number,
    mayBeThere: boolean,
  ): Promise<void> {
    const known = mayBeThere ? await transferThere(wanted) : undefined;
    if (known === undefined) {
      try {
        await rest.put('fileusertransfers', transferOf(terms, wanted, size));
        return;
      } catch (caught) {
        // An answer that was lost, or an earlier life of this adapter: what counts is what is there now.
        const there = await transferThere(wanted);
        if (there === undefined) throw caught;
        requireTask(there, terms);
      }
      return;
    }
    requireTask(known, terms);
    // Of this try already, or still on its way: nothing to ask for.
    if (known['tm_start_time'] === terms.startSeconds || transferEnd(known['tm_transfer_state']) === 'moving')
      return;
    await rest.post('fileusertransfers', transferAgain(terms, wanted, size));
  }

  /** The server answers a call that did nothing as one that did: what it keeps now is what counts. */
  async function requireThere(taskname: string, told: readonly WantedFile[]): Promise<void> {
    const lfns = told.map(({ finalLfn }) => finalLfn);
    const rows = await rest.get('filemetadata', { taskname, lfnList: JSON.stringify(lfns) });
    const kept = new Set(rows.map(lfnOf));
    const missing = told.filter(({ finalLfn }) => !kept.has(finalLfn));
    for (const wanted of told)
      if (wanted.isMoved && (await transferThere(wanted)) === undefined) missing.push(wanted);
    if (missing.length > 0)
      throw new CoPilotError(
        'UNREACHABLE',
        `the CRAB server said yes and has no ${missing[0]?.name ?? 'file'}`,
      );
  }

  async function transferThere(wanted: WantedFile): Promise<Readonly<Record<string, unknown>> | undefined> {
    const rows = await rest.get('fileusertransfers', { subresource: 'getById', id: transferId(wanted) });
    return rows.find(isObject);
  }

  return {
    async finished(job, attempt, manifest, usage) {
      const found = store.task(job.task);
      if (found === undefined || !job.isCurrent) return 'refused';
      if (isEnded(job.state)) return isOwnEnd(job, attempt) ? { events: job.events } : 'refused';
      const read = await report(job, attempt, manifest);
      const fault =
        read === undefined ? { code: CODES.badReport, why: '' } : faultOf(read, found, job, manifest);
      if (read === undefined || fault !== undefined) {
        end(job, fault?.code ?? CODES.badReport, fault?.why ?? '', attempt, usage.memoryMiB);
        options.onJobs();
        return 'refused';
      }
      try {
        await tell(job, found, { attempt, manifest, report: read });
      } catch (caught) {
        if (!isNever(caught)) throw caught;
        end(job, CODES_OF_POST, caught.message, attempt);
        return 'refused';
      }
      const now = store.job(job.id);
      // Killed meanwhile: CRAB has its files, and its user the last word.
      if (now !== undefined && isEnded(now.state)) return 'refused';
      const isMoved = wantedFiles(found.task, job.number).some(
        (wanted) => wanted.isMoved && manifest.some(({ name }) => name === wanted.name),
      );
      const state = isMoved ? 'transferring' : 'finished';
      const { events } = read;
      store.change(job.id, { state, isAccepted: true, attempt, events, endSeconds: nowSeconds() });
      return { events };
    },
    failed(job, reason, attempts) {
      if (isEnded(job.state)) return;
      const last = attempts.at(-1);
      end(job, codeOf(last?.exit), reason, last?.attempt ?? job.attempt);
      options.onJobs();
    },
  };
}

interface GoodResult {
  readonly attempt: number;
  readonly manifest: readonly StoredFile[];
  readonly report: JobReport;
}

/** Post-processing, of files and metadata, failed. */
const CODES_OF_POST = 90_000;

function isOwnEnd({ state, attempt: own }: StoredJob, attempt: number): boolean {
  return (state === 'transferring' || state === 'finished') && own === attempt;
}

interface Fault {
  readonly code: number;
  readonly why: string;
}

/** A job that says 0 has left every file that the task names. */
function faultOf(
  { exitCode, message }: JobReport,
  { task }: StoredTask,
  job: StoredJob,
  manifest: readonly StoredFile[],
): Fault | undefined {
  if (exitCode !== 0) return { code: exitCode, why: message };
  const missing = wantedFiles(task, job.number).find(
    ({ name, kind }) => kind !== 'LOG' && !manifest.some((file) => file.name === name),
  );
  return missing && { code: CODES.noOutput, why: missing.name };
}

/** The report may name a file as the program wrote it, or as it is called afterwards. */
function isSameFile(reported: string, name: string, number: number): boolean {
  return reported === name || name === reported.replace(/(\.[^.]*)?$/, `_${number}$1`);
}

/** Said about what was sent, not about the moment: sending it again changes nothing. */
function isNever(caught: unknown): caught is CrabRefusal {
  return (
    caught instanceof CrabRefusal &&
    (caught.appCode === APP.invalidParameter || caught.appCode === APP.missingParameter)
  );
}

/** Each row is a text of JSON of its own. */
function lfnOf(row: unknown): unknown {
  try {
    const file: unknown = typeof row === 'string' ? JSON.parse(row) : row;
    return isObject(file) ? file['lfn'] : undefined;
  } catch {
    return undefined;
  }
}

function requireTask(row: Readonly<Record<string, unknown>>, { task }: RecordTerms): void {
  if (row['tm_taskname'] !== task.name)
    throw new CoPilotError('UNREACHABLE', 'the transfer service names another task for this file');
}
