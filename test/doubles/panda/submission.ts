import type { WantedFile, WantedJob } from './job-spec.ts';
import { isList } from './python-values.ts';

/** Attributes of a job in the array by which one is submitted, in order; its files are the array's last member. */
const JOB_ATTRIBUTES =
  'PandaID jobDefinitionID schedulerID pilotID creationTime creationHost modificationTime modificationHost AtlasRelease transformation homepackage prodSeriesLabel prodSourceLabel prodUserID assignedPriority currentPriority attemptNr maxAttempt jobStatus jobName maxCpuCount maxCpuUnit maxDiskCount maxDiskUnit ipConnectivity minRamCount minRamUnit startTime endTime cpuConsumptionTime cpuConsumptionUnit commandToPilot transExitCode pilotErrorCode pilotErrorDiag exeErrorCode exeErrorDiag supErrorCode supErrorDiag ddmErrorCode ddmErrorDiag brokerageErrorCode brokerageErrorDiag jobDispatcherErrorCode jobDispatcherErrorDiag taskBufferErrorCode taskBufferErrorDiag computingSite computingElement jobParameters metadata prodDBlock dispatchDBlock destinationDBlock destinationSE nEvents grid cloud cpuConversion sourceSite destinationSite transferType taskID cmtConfig stateChangeTime prodDBUpdateTime lockedby relocationFlag jobExecutionID VO pilotTiming workingGroup processingType prodUserName nInputFiles countryGroup batchID parentID specialHandling jobsetID coreCount nInputDataFiles inputFileType inputFileProject inputFileBytes nOutputDataFiles outputFileBytes jobMetrics workQueue_ID jediTaskID jobSubStatus actualCoreCount reqID maxRSS maxVMEM maxSWAP maxPSS avgRSS avgVMEM avgSWAP avgPSS maxWalltime nucleus eventService failedAttempt hs06sec gshare hs06 totRCHAR totWCHAR totRBYTES totWBYTES rateRCHAR rateWCHAR rateRBYTES rateWBYTES resource_type diskIO memory_leak memory_leak_x2 container_name job_label'.split(
    ' ',
  );

/** The same of a file. */
const FILE_ATTRIBUTES =
  'row_ID PandaID GUID lfn type dataset status prodDBlock prodDBlockToken dispatchDBlock dispatchDBlockToken destinationDBlock destinationDBlockToken destinationSE fsize md5sum checksum scope jediTaskID datasetID fileID attemptNr'.split(
    ' ',
  );

export type Attributes = Readonly<Record<string, string | number | null>>;

/** One job as `job/submit` takes it. */
export function submission(job: Attributes, files: readonly Attributes[]): readonly unknown[] {
  return [
    ...positions(JOB_ATTRIBUTES, job),
    files.map((file) => [...positions(FILE_ATTRIBUTES, file), null]),
  ];
}

function positions(names: readonly string[], values: Attributes): readonly (string | number)[] {
  return names.map((name) => values[name] ?? 'NULL');
}

/** What the text of `jobs` asks for. Throws where it is no list of arrays. */
export function submittedJobs(text: string): readonly WantedJob[] {
  const jobs: unknown = JSON.parse(text);
  if (!isList(jobs)) throw new Error('jobs is no list');
  return jobs.map(submittedJob);
}

function submittedJob(state: unknown): WantedJob {
  if (!isList(state)) throw new Error('a job is no list');
  const job = named(JOB_ATTRIBUTES, state);
  const listed: unknown = state.at(-1);
  const files = isList(listed) ? listed.map((file) => named(FILE_ATTRIBUTES, isList(file) ? file : [])) : [];
  const ofType = (type: string): readonly WantedFile[] =>
    files
      .filter((file) => file['type'] === type)
      .map((file) => ({
        lfn: textOf(file['lfn']),
        scope: textOf(file['scope']),
        dataset: textOf(file['dataset']),
        guid: textOf(file['GUID']),
        size: Number(file['fsize']) || 0,
        checksum: textOf(file['checksum']),
        endpoint: textOf(file['destinationSE']) === 'NULL' ? 'CP_DISK' : textOf(file['destinationSE']),
      }));
  return {
    name: textOf(job['jobName']),
    site: textOf(job['computingSite']),
    label: textOf(job['prodSourceLabel']),
    user: textOf(job['prodUserID']),
    transformation: textOf(job['transformation']),
    parameters: textOf(job['jobParameters']) === 'NULL' ? '' : textOf(job['jobParameters']),
    priority: numberOf(job['currentPriority'], 1000),
    maxAttempt: numberOf(job['maxAttempt'], 1),
    maxCpuSeconds: numberOf(job['maxCpuCount'], 3600),
    maxWallSeconds: numberOf(job['maxWalltime'], 3600),
    memoryMB: numberOf(job['minRamCount'], 500),
    diskMB: numberOf(job['maxDiskCount'], 500),
    cores: numberOf(job['coreCount'], 1),
    inputs: ofType('input'),
    outputs: ofType('output'),
    log: textOf(ofType('log')[0]?.lfn) === 'NULL' ? null : textOf(ofType('log')[0]?.lfn),
  };
}

function named(names: readonly string[], values: readonly unknown[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(names.map((name, at) => [name, values[at]]));
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : 'NULL';
}

function numberOf(value: unknown, otherwise: number): number {
  return typeof value === 'number' ? value : otherwise;
}
