import { randomUUID } from 'node:crypto';
import type { Json } from './python-values.ts';

/** A file of a job, as a row of the server's file table. */
export interface PandaFile {
  readonly type: 'input' | 'output' | 'log';
  readonly lfn: string;
  readonly scope: string;
  readonly dataset: string;
  readonly guid: string;
  readonly size: number;
  readonly checksum: string;
  readonly endpoint: string;
  /** The job may end without it. */
  readonly isOptional: boolean;
}

/** What a production system or a user submits. */
export interface PandaSpec {
  readonly name: string;
  readonly site: string;
  readonly label: string;
  readonly user: string;
  readonly transformation: string;
  readonly parameters: string;
  readonly release: string;
  readonly homepackage: string;
  readonly container: string | undefined;
  readonly priority: number;
  readonly maxAttempt: number;
  readonly maxCpuSeconds: number;
  readonly maxWallSeconds: number;
  readonly memoryMB: number;
  readonly diskMB: number;
  readonly cores: number;
  readonly taskId: number | undefined;
  readonly files: readonly PandaFile[];
  /** Events in ranges of one; undefined: no event service. */
  readonly events: number | undefined;
  readonly eventsInRange: number;
  /** Members that the answer to a pilot has besides, or instead: secrets, flags, hostile values. */
  readonly extra: Readonly<Record<string, Json>>;
}

export type WantedFile = Partial<PandaFile> & Pick<PandaFile, 'lfn'>;

export interface WantedJob extends Partial<Omit<PandaSpec, 'files'>> {
  readonly inputs?: readonly WantedFile[];
  readonly outputs?: readonly WantedFile[];
  /** No log where it is null. */
  readonly log?: string | null;
}

/** Fills what a job leaves out; the log's GUID is the server's. */
export function completeJob(wanted: WantedJob, number: number): PandaSpec {
  const { inputs = [], outputs, log, ...rest } = wanted;
  const name = wanted.name ?? `cp.test.${String(number).padStart(4, '0')}`;
  const out = outputs ?? [{ lfn: `user.${name}.out.txt` }];
  const logFile = log === undefined ? `user.${name}.log.tgz` : log;
  const files = [
    ...inputs.map((file) => completeFile('input', file)),
    ...out.map((file) => completeFile('output', file)),
    ...(logFile === null ? [] : [completeFile('log', { lfn: logFile })]),
  ];
  return {
    site: 'CP_TEST',
    label: 'user',
    user: 'cp robot',
    transformation: 'true',
    parameters: '',
    release: 'NULL',
    homepackage: 'NULL',
    container: undefined,
    priority: 1000,
    maxAttempt: 1,
    maxCpuSeconds: 3600,
    maxWallSeconds: 3600,
    memoryMB: 500,
    diskMB: 500,
    cores: 1,
    taskId: undefined,
    events: undefined,
    eventsInRange: 1,
    extra: {},
    ...rest,
    name,
    files,
  };
}

function completeFile(type: PandaFile['type'], file: WantedFile): PandaFile {
  return {
    scope: 'user.cp',
    dataset: `user.cp:user.cp.${type}`,
    guid: type === 'output' ? 'NULL' : randomUUID(),
    size: 0,
    checksum: 'NULL',
    endpoint: 'CP_DISK',
    isOptional: false,
    ...file,
    type,
  };
}

/** Where a job stands in the answer to a pilot. */
export interface Placed {
  readonly id: number;
  readonly attempt: number;
  readonly sent: number;
}

/** The members of an answer to a pilot, in the server's order. */
export function describeJob(spec: PandaSpec, { id, attempt, sent }: Placed): Record<string, Json> {
  const inputs = spec.files.filter((file) => file.type === 'input');
  const outputs = spec.files.filter((file) => file.type !== 'input');
  const log = spec.files.find((file) => file.type === 'log');
  const joined = (files: readonly PandaFile[], member: (file: PandaFile) => string | number): string =>
    files.map(member).join(',');
  const nulls = (files: readonly PandaFile[]): string => joined(files, () => 'NULL');
  const optional = outputs.filter((file) => file.isOptional);
  return {
    PandaID: id,
    prodSourceLabel: spec.label,
    swRelease: spec.release,
    homepackage: spec.homepackage,
    transformation: spec.transformation,
    jobName: spec.name,
    jobDefinitionID: 11,
    cloud: 'WORLD',
    inFiles: joined(inputs, (file) => file.lfn),
    dispatchDblock: nulls(inputs),
    dispatchDBlockToken: nulls(inputs),
    dispatchDBlockTokenForOut: nulls(outputs),
    outFiles: joined(outputs, (file) => file.lfn),
    destinationDblock: joined(outputs, (file) => block(file)),
    destinationDBlockToken: nulls(outputs),
    prodDBlocks: joined(inputs, (file) => block(file)),
    prodDBlockToken: nulls(inputs),
    realDatasets: joined(outputs, (file) => file.dataset),
    realDatasetsIn: joined(inputs, (file) => file.dataset),
    fileDestinationSE: joined(outputs, (file) => file.endpoint),
    logFile: log?.lfn ?? '',
    logGUID: log?.guid ?? '',
    jobPars: spec.parameters,
    attemptNr: attempt,
    GUID: joined(inputs, (file) => file.guid),
    checksum: joined(inputs, (file) => file.checksum),
    fsize: joined(inputs, (file) => file.size),
    scopeIn: joined(inputs, (file) => file.scope),
    scopeOut: joined(
      outputs.filter((file) => file.type === 'output'),
      (file) => file.scope,
    ),
    scopeLog: log?.scope ?? '',
    ddmEndPointIn: joined(inputs, (file) => file.endpoint),
    ddmEndPointOut: joined(outputs, (file) => file.endpoint),
    destinationSE: 'CP_TEST',
    prodUserID: spec.user,
    maxCpuCount: spec.maxCpuSeconds,
    minRamCount: spec.memoryMB,
    maxDiskCount: spec.diskMB,
    cmtConfig: 'NULL',
    processingType: 'panda-client',
    transferType: 'NULL',
    sourceSite: 'NULL',
    currentPriority: spec.priority,
    taskID: spec.taskId ?? 'NULL',
    coreCount: spec.cores,
    jobsetID: 88,
    reqID: 99,
    nucleus: 'NULL',
    maxWalltime: spec.maxWallSeconds,
    resource_type: spec.cores > 1 ? 'MCORE' : 'SCORE',
    ...(spec.events !== undefined && { eventService: 'True' }),
    ...(optional.length > 0 && { allowNoOutput: joined(optional, (file) => file.lfn) }),
    ...(spec.container !== undefined && { container_name: spec.container }),
    ioIntensity: null,
    ioIntensityUnit: null,
    nSent: sent,
    ...spec.extra,
  };
}

function block(file: PandaFile): string {
  return file.dataset.split(':').at(-1) ?? '';
}
