import { hash } from 'node:crypto';
import type { CrabOutput, CrabTask } from './crab-task.ts';
import type { Parameters } from './crab-rest.ts';
import type { ReportedOutput } from './job-report.ts';
import { logName, numbered, placesOf } from './lfn.ts';

/** A file of a job as storage has it: size and checksums are nobody's word but ours. */
export interface JobFile {
  /** With the job's number. */
  readonly name: string;
  readonly size: number;
  readonly md5: string;
  readonly adler32: string;
  /** POSIX, in decimal digits. */
  readonly cksum: string;
}

/** One file that a job must tell CRAB of. */
export interface WantedFile {
  readonly name: string;
  readonly kind: CrabOutput['kind'] | 'LOG';
  readonly temporaryLfn: string;
  readonly finalLfn: string;
  /** Whether the transfer service has to move it. */
  readonly isMoved: boolean;
  readonly isPublished: boolean;
}

export interface RecordTerms {
  readonly task: CrabTask;
  readonly number: number;
  readonly retry: number;
  /** Where the temporary copy lies. */
  readonly cmsSite: string;
  /** When the result was first told, Unix time in seconds: the same at every repeat. */
  readonly startSeconds: number;
}

/** Files that a job with this number leaves when all is well, the log first as the grid's wrapper does. */
export function wantedFiles(task: CrabTask, number: number): readonly WantedFile[] {
  const { temporary, final } = placesOf(task, number);
  const log: readonly WantedFile[] = task.savesLogs
    ? [
        {
          name: logName(number),
          kind: 'LOG',
          temporaryLfn: `${temporary}/log/${logName(number)}`,
          finalLfn: `${final}/log/${logName(number)}`,
          isMoved: true,
          isPublished: false,
        },
      ]
    : [];
  const outputs = task.outputs.map(({ name, kind }): WantedFile => {
    const own = numbered(name, number);
    return {
      name: own,
      kind,
      temporaryLfn: `${temporary}/${own}`,
      finalLfn: `${final}/${own}`,
      isMoved: task.transfersOutputs,
      isPublished: task.isPublished && task.transfersOutputs && kind === 'EDM',
    };
  });
  return [...log, ...outputs];
}

/** `filemetadata`, PUT: an upsert by task and LFN, so that a repeat changes nothing. */
export function metadataOf(
  { task, number, cmsSite }: RecordTerms,
  wanted: WantedFile,
  file: JobFile,
  reported: ReportedOutput | undefined,
): Parameters {
  const runs = reported?.runs ?? [];
  return {
    taskname: task.name,
    jobid: number,
    outsize: file.size,
    publishdataname: task.publishName,
    appver: task.software,
    outtype: wanted.kind,
    checksummd5: file.md5,
    checksumcksum: file.cksum,
    checksumadler32: file.adler32,
    outlocation: task.destination,
    outtmplocation: cmsSite,
    acquisitionera: 'null',
    outdatasetname: datasetOf(task, wanted, reported),
    outlfn: wanted.finalLfn,
    outtmplfn: wanted.temporaryLfn,
    events: reported?.events ?? 0,
    filestate: wanted.isMoved ? 'TRANSFERRING' : 'FINISHED',
    directstageout: 0,
    globalTag: 'None',
    outfileruns: runs.map(({ run }) => run),
    outfilelumis: runs.map(({ lumis }) =>
      lumis.map(([lumi, events]) => `${lumi}:${events ?? 'None'}`).join(','),
    ),
  };
}

/** The dataset that stands where there is none. */
const FAKE_DATASET = '/FakeDataset/fakefile-FakePublish-5b6a581e4ddd41b130711a045d5fecb9/USER';

function datasetOf(task: CrabTask, { kind }: WantedFile, reported: ReportedOutput | undefined): string {
  if (kind !== 'EDM') return FAKE_DATASET;
  const published = task.publishName.replace(/-[^-]*$/, '');
  return `/${task.primaryDataset}/${task.user}-${published}-${reported?.psetHash ?? '0'.repeat(32)}/USER`;
}

/** Of a transfer: SHA-224 of the LFN that it is moved from. */
export function transferId({ temporaryLfn }: WantedFile): string {
  return hash('sha224', temporaryLfn);
}

/** `fileusertransfers`, PUT: a second one of the same id is an error. */
export function transferOf(terms: RecordTerms, wanted: WantedFile, size: number): Parameters {
  const { task, number, retry, cmsSite, startSeconds } = terms;
  return {
    id: transferId(wanted),
    username: task.user,
    taskname: task.name,
    destination: task.destination,
    destination_lfn: wanted.finalLfn,
    source: cmsSite,
    source_lfn: wanted.temporaryLfn,
    filesize: size,
    publish: Number(wanted.isPublished),
    transfer_state: 'NEW',
    publication_state: wanted.isPublished ? 'NEW' : 'NOT_REQUIRED',
    job_id: number,
    job_retry_count: retry,
    type: wanted.kind === 'LOG' ? 'log' : 'output',
    start_time: startSeconds,
  };
}

/** `fileusertransfers`, POST `updateDoc`: the same file again, by a later try of the job whose transfer had ended. */
export function transferAgain(terms: RecordTerms, wanted: WantedFile, size: number): Parameters {
  const {
    destination: _destination,
    destination_lfn: _lfn,
    type: _type,
    ...kept
  } = transferOf(terms, wanted, size);
  return { subresource: 'updateDoc', ...kept, transfer_retry_count: 0 };
}

/** As the server numbers them. */
const TRANSFER_STATES = ['NEW', 'ACQUIRED', 'FAILED', 'DONE', 'RETRY', 'SUBMITTED', 'KILL', 'KILLED'];

export type TransferEnd = 'done' | 'failed' | 'moving';

/** What a transfer's number says. */
export function transferEnd(state: unknown): TransferEnd {
  const name = typeof state === 'number' ? TRANSFER_STATES[state] : undefined;
  if (name === 'DONE') return 'done';
  return name === 'FAILED' || name === 'KILL' || name === 'KILLED' ? 'failed' : 'moving';
}
