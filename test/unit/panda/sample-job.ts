import { readJob, type PandaJob } from '../../../adapters/jobs/panda/panda-job.ts';
import type { PandaOptions } from '../../../adapters/jobs/panda/panda-options.ts';

/** A description as a PanDA server gives one, with the members that matter here and some secrets. */
export const DESCRIPTION = {
  StatusCode: 0,
  PandaID: 4001,
  prodSourceLabel: 'user',
  swRelease: 'NULL',
  homepackage: 'NULL',
  transformation: 'http://127.0.0.1:28085/trf/user/hello.sh',
  jobName: 'cp.test.0001',
  inFiles: '',
  outFiles: 'user.cp.0001.out.txt,user.cp.0001.log.tgz',
  realDatasets: 'user.cp:user.cp.out,user.cp:user.cp.log',
  fileDestinationSE: 'local,local',
  logFile: 'user.cp.0001.log.tgz',
  logGUID: '6cd7f2a0-0f7e-4a39-bb0b-1a3c9a7b0001',
  jobPars: '--n 1',
  attemptNr: 1,
  fsize: '',
  checksum: '',
  scopeIn: '',
  scopeOut: 'user.cp',
  scopeLog: 'user.log',
  ddmEndPointIn: '',
  ddmEndPointOut: 'CP_DISK,CP_DISK',
  prodUserID: '/DC=org/CN=Ann Example',
  maxCpuCount: 1800,
  minRamCount: 1000,
  maxDiskCount: 500,
  currentPriority: 2000,
  taskID: 77,
  coreCount: 2,
  jobsetID: 88,
  maxWalltime: 3600,
  ioIntensity: null,
  secrets: '{"KEY":"CANARY-secrets"}',
  pilotSecrets: { KEY: 'CANARY-pilot' },
  credname: 'CANARY-credname',
  myproxy: 'CANARY-myproxy',
  pandaProxySecretKey: 'CANARY-proxy',
  somethingNew: 'CANARY-new',
};

export const OPTIONS: PandaOptions = {
  api: 'v1',
  origin: undefined,
  label: 'managed',
  scheduler: 'co-pilot-test',
  heartbeatMs: 1_200_000,
  mode: 'payload',
  transformations: ['http://127.0.0.1/trf/'],
  inputs: { CP_DISK: 'https://se.example.org/rucio/' },
  maxInputBytes: 1_000_000,
  endpoint: undefined,
  surl: undefined,
  container: [],
  pilot: [],
  takesEvents: false,
};

export function jobOf(change: Readonly<Record<string, unknown>> = {}): PandaJob {
  const read = readJob({ ...DESCRIPTION, ...change });
  if (read.kind !== 'job') throw new Error(read.reason);
  return read.job;
}
