import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toCoPilotError } from '../../../protocol/errors.ts';
import { writeJdl } from '../../../protocol/jdl/index.ts';
import { MOST_IN_MEMORY } from '../kit/bridge-call.ts';
import type { ResultFile, ResultReader } from '../kit/result-reader.ts';
import type { StoredFile } from '../job-adapter.ts';
import type { Catalogue } from './catalogue.ts';
import { type AlienJob, type Central, endJob, PROBE } from './central.ts';
import { type JobStatus, jobStatusIn, OUTPUTS_NAME, STATUS_NAME } from './job-script.ts';
import type { JobState } from './job-state.ts';
import { type PlannedOutput, recycleDirectory } from './output-plan.ts';
import { bytesPiece, type DivisiblePiece, openFilePiece } from './piece.ts';
import { storeOutputs } from './store-outputs.ts';
import { listTar } from './tar-reader.ts';

export interface FinishOptions {
  readonly central: Central;
  readonly catalogue: Catalogue;
  readonly results: ResultReader;
  readonly directory: string;
}

export interface Result {
  readonly job: string;
  readonly attempt: number;
  readonly manifest: readonly StoredFile[];
}

const MOST_STATUS_BYTES = 8192;

/** How a job ends in AliEn, and what of it is stored where. */
interface Verdict {
  readonly to: string;
  readonly outputs: readonly PlannedOutput[];
  readonly directory: string;
  readonly why: string;
}

/**
 * Takes a committed result to AliEn: outputs are stored and registered before the queue hears that the job is saved. Rejects where it may
 * work later; `refused` once the job is no longer ours. Whatever was done before a rejection is done again to the same end.
 */
export async function finishJob(
  options: FinishOptions,
  { job, outputs }: JobState,
  result: Result,
): Promise<'ok' | 'refused'> {
  const marker = `Co-Pilot job ${result.job} attempt ${result.attempt}`;
  const status = await statusOf(options, result).catch(async (caught: unknown) => {
    // The bridge holds the committed attempt alone: of another one the queue may know the end all the same.
    if ((await options.central.setStatus(job, PROBE)) === 'over') return 'over' as const;
    throw caught;
  });
  if (status === 'over') return ended(options.central, job, marker);
  const saving = await options.central.setStatus(job, { to: 'SAVING', detail: String(status?.exit ?? 0) });
  if (saving === 'over') return ended(options.central, job, marker);
  const verdict = verdictOf(status, job, outputs, options.central.savedState);
  const stored = await storeAll(options, job, result, verdict);
  const to = endState(verdict, stored);
  const why = stored.fault ?? verdict.why;
  await options.central.write([
    ...(why === '' ? [] : [{ job, tag: 'error', text: `Co-Pilot: ${why.slice(0, 500)}` }]),
    ...logLines(status, job),
    { job, tag: 'trace', text: marker },
  ]);
  const answer = await endJob(options.central, job, { to, detail: resultJdl(stored.pfns), by: marker });
  return answer === 'ok' ? 'ok' : ended(options.central, job, marker);
}

/** Whether this very result is what ended the job. */
async function ended(central: Central, job: AlienJob, marker: string): Promise<'ok' | 'refused'> {
  return (await central.isSaved(job, marker)) ? 'ok' : 'refused';
}

async function statusOf({ results }: FinishOptions, result: Result): Promise<JobStatus | undefined> {
  const file = result.manifest.find(({ name }) => name === STATUS_NAME);
  if (file === undefined || file.size > MOST_STATUS_BYTES) return undefined;
  const bytes = await results.bytes({ job: result.job, attempt: result.attempt, ...file }, MOST_STATUS_BYTES);
  return jobStatusIn(Buffer.from(bytes).toString('latin1'));
}

function verdictOf(
  status: JobStatus | undefined,
  job: AlienJob,
  { directory, outputs, onError }: JobState['outputs'],
  saved: string,
): Verdict {
  const recycle = recycleDirectory(job.id, job.user);
  if (status === undefined)
    return {
      to: 'ERROR_E',
      outputs: [],
      directory: recycle,
      why: 'the result does not say how the job ended',
    };
  if (status.exit !== 0)
    return {
      to: 'ERROR_E',
      outputs: onError,
      directory: recycle,
      why: `the executable ended with ${status.exit}`,
    };
  const { validation } = status;
  if (validation !== undefined && validation !== 0)
    return {
      to: validationError(validation),
      outputs,
      directory: recycle,
      why: `the validation ended with ${validation}`,
    };
  return { to: saved, outputs, directory, why: '' };
}

/** The codes of `timeout` and of a shell that cannot run a file. */
function validationError(code: number): string {
  if (code === 124 || code === 137) return 'ERROR_VT';
  return code === 126 || code === 127 ? 'ERROR_VN' : 'ERROR_V';
}

interface Stored {
  readonly pfns: readonly string[];
  readonly fault: string | undefined;
  readonly isShort: boolean;
}

async function storeAll(
  options: FinishOptions,
  job: AlienJob,
  result: Result,
  verdict: Verdict,
): Promise<Stored> {
  const nothing = { pfns: [], fault: undefined, isShort: false };
  const file = result.manifest.find(({ name }) => name === OUTPUTS_NAME);
  if (verdict.outputs.length === 0) return nothing;
  if (file === undefined) return { ...nothing, fault: 'the result holds no outputs' };
  const { directory, outputs } = verdict;
  try {
    return await withTar(options, { job: result.job, attempt: result.attempt, ...file }, async (tar) => {
      const members = await listTar(tar);
      return storeOutputs({ catalogue: options.catalogue, job, directory, outputs, members });
    });
  } catch (caught) {
    const { code, message } = toCoPilotError(caught);
    if (code !== 'RESULT_REFUSED' && code !== 'NAME_REFUSED') throw caught;
    return { ...nothing, fault: message };
  }
}

/** What the job left: in memory where it is small, else in a file for as long as `use` takes. */
async function withTar<T>(
  { results, directory }: FinishOptions,
  file: ResultFile,
  use: (tar: DivisiblePiece) => Promise<T>,
): Promise<T> {
  if (file.size <= MOST_IN_MEMORY)
    return use(bytesPiece(Buffer.from(await results.bytes(file, MOST_IN_MEMORY))));
  const path = join(directory, randomUUID());
  try {
    await results.save(file, path);
    const tar = await openFilePiece(path);
    try {
      return await use(tar);
    } finally {
      await tar.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}

/** A job in error stays in its error, whatever became of what it left. */
function endState({ to }: Verdict, { fault, isShort }: Stored): string {
  if (to.startsWith('ERROR_')) return to;
  if (fault !== undefined) return 'ERROR_SV';
  return isShort ? `${to}_WARN` : to;
}

function logLines(
  status: JobStatus | undefined,
  job: AlienJob,
): readonly { job: AlienJob; tag: string; text: string }[] {
  const trace = status?.trace.trim() ?? '';
  return trace === '' ? [] : [{ job, tag: 'trace', text: `validation: ${trace.slice(0, 1000)}` }];
}

function resultJdl(pfns: readonly string[]): string {
  const items = pfns.filter((pfn) => !/["\u0000-\u001f]/.test(pfn));
  if (items.length === 0) return '';
  return writeJdl([{ name: 'SuccessfullyBookedPFNs', value: { kind: 'list', items: [...new Set(items)] } }]);
}
