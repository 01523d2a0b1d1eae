import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { detectIsolation } from '../../../agent/executors/detect-isolation.ts';
import { removeJobDirectory } from '../../../agent/executors/job-directory.ts';
import type { Exit, IsolationMethod, Running } from '../../../agent/executors/launcher.ts';
import { createProcessLauncher } from '../../../agent/executors/process-launcher.ts';
import { createPilotHost } from '../../../agent/pilot/pilot-desk.ts';
import type { CallAdapter, PilotDesk } from '../../../agent/pilot/pilot-host.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../silent-log.ts';
import { temporaryDirectory } from '../temporary-directory.ts';

const STARTER = new URL('../../../examples/panda-pilot/run-pilot.py', import.meta.url).pathname;
const PAYLOAD = '#!/bin/sh\nprintf "$1\\n" > user.cp.0001.out.txt\nexit ${2:-0}\n';
const LIMITS = { wallSeconds: 600, memoryMiB: 1_024, diskMiB: 256, files: 20_000, processes: 256 };
/** What the job leaves: its output and its log. */
export const OUTPUTS = ['user.cp.0001.out.txt', 'user.cp.0001.log.tgz'] as const;
const TRANSFORMATION = 'http://pandaserver-doma.cern.ch:25080/trf/user/hello.sh';

/** What a server answers to getJob, for the payload `hello.sh` with these arguments. */
function jobReply(jobPars: string): string {
  const [output, log] = OUTPUTS;
  return new URLSearchParams({
    StatusCode: '0',
    PandaID: '4001',
    prodSourceLabel: 'user',
    swRelease: 'NULL',
    homepackage: 'NULL',
    transformation: TRANSFORMATION,
    jobName: 'cp.test.0001',
    jobDefinitionID: '11',
    cloud: 'WORLD',
    inFiles: '',
    dispatchDblock: '',
    dispatchDBlockToken: '',
    dispatchDBlockTokenForOut: 'NULL,NULL',
    outFiles: `${output},${log}`,
    destinationDblock: 'user.cp.out,user.cp.log',
    destinationDBlockToken: 'NULL,NULL',
    prodDBlocks: '',
    prodDBlockToken: '',
    realDatasets: 'user.cp:user.cp.out,user.cp:user.cp.log',
    realDatasetsIn: '',
    fileDestinationSE: 'CP_DISK,CP_DISK',
    logFile: log,
    logGUID: '6cd7f2a0-0f7e-4a39-bb0b-1a3c9a7b0001',
    jobPars,
    attemptNr: '1',
    GUID: '',
    checksum: '',
    fsize: '',
    scopeIn: '',
    scopeOut: 'user.cp',
    scopeLog: 'user.cp',
    ddmEndPointIn: '',
    ddmEndPointOut: 'CP_DISK,CP_DISK',
    destinationSE: 'CP_TEST',
    prodUserID: 'cp robot',
    maxCpuCount: '3600',
    minRamCount: '1000',
    maxDiskCount: '500',
    cmtConfig: '',
    processingType: 'panda-client',
    transferType: 'NULL',
    sourceSite: 'NULL',
    currentPriority: '1000',
    taskID: '77',
    coreCount: '1',
    jobsetID: '88',
    reqID: '99',
    nucleus: 'NULL',
    maxWalltime: '3600',
    resource_type: 'SCORE',
    ioIntensity: 'None',
    ioIntensityUnit: 'None',
    nSent: '0',
  }).toString();
}

/** A pilot in a jail before a real end point, with an adapter that has one job for it. */
export interface PilotTrial {
  readonly work: string;
  readonly desk: PilotDesk;
  readonly running: Running;
  /** What the pilot told of its job, oldest first. */
  readonly updates: readonly Record<string, unknown>[];
  /** What it asked besides, in order. */
  readonly asked: readonly string[];
  /** Until the pilot has ended; then its outputs lie where they are collected. */
  finish(): Promise<{ readonly exit: Exit; readonly said: string }>;
  close(): Promise<void>;
}

export interface TrialOptions {
  readonly method: IsolationMethod;
  /** Holds `pilot.py`; lies where any user may read. */
  readonly pilot: string;
  readonly jobPars: string;
  /** The adapter, instead of one that has a job of its own. */
  readonly call?: CallAdapter;
  /** Whoever hears an update may keep the pilot waiting. */
  readonly onUpdate?: (updates: readonly Record<string, unknown>[]) => Promise<void>;
  readonly pilotArguments?: readonly string[];
}

export async function startTrial(options: TrialOptions): Promise<PilotTrial> {
  const { method, pilot } = options;
  const found = await detectIsolation(method, { clock: nodeClock });
  if (found.kind !== 'found')
    throw new Error(`${method}: ${found.attempts.map(({ reason }) => reason).join()}`);
  const base = await temporaryDirectory('pilot-trial');
  await chmod(base, 0o711);
  const work = join(base, 'work');
  await mkdir(work, { mode: 0o700 });
  await writeFile(join(work, 'hello.sh'), PAYLOAD, { mode: 0o755 });
  await copyFile(STARTER, join(work, 'run-pilot.py'));
  const updates: Record<string, unknown>[] = [];
  const asked: string[] = [];
  const call: CallAdapter = async (name, text) => {
    asked.push(name);
    if (name === 'updateJob') {
      updates.push(fieldsIn(text));
      await options.onUpdate?.(updates);
    }
    const reply = name === 'getJob' ? jobReply(options.jobPars) : 'StatusCode=0&command=NULL';
    const answer = { status: 200, contentType: 'text/plain', body: Buffer.from(reply).toString('base64') };
    return { kind: 'answered', message: { body: JSON.stringify(answer) } };
  };
  const desk = await createPilotHost({ clock: nodeClock, log: silentLog }).open({
    directory: work,
    isPilot: true,
    hasParts: false,
    call: options.call ?? call,
    parts: () => Promise.resolve({ kind: 'refused', code: 'UNSUPPORTED', message: '' }),
  });
  const places = { stdoutFile: join(base, 'stdout'), stderrFile: join(base, 'stderr') };
  const running = createProcessLauncher(method, { clock: nodeClock }).launch({
    command: 'python3',
    arguments: ['run-pilot.py', pilot, 'CP_TEST', 'CP_DISK', ...(options.pilotArguments ?? [])],
    environment: {
      PATH: '/usr/bin:/bin',
      HARVESTER_ID: 'cp_harvester',
      HARVESTER_WORKER_ID: '501',
      // From here the pilot's plug-in copies the payload, instead of fetching it.
      HARVESTER_WORKDIR: work,
      ...desk.environment,
    },
    workDirectory: work,
    readOnly: [pilot],
    ...places,
    limits: LIMITS,
    network: 'host',
  });
  desk.admit(running);
  return {
    work,
    desk,
    running,
    updates,
    asked,
    async finish() {
      const exit = await running.exited;
      await desk.close();
      const lost = await desk.gather(OUTPUTS.map((name) => ({ name })));
      if (lost !== undefined) throw new Error(lost);
      const said = await Promise.all(Object.values(places).map((path) => readFile(path, 'utf8')));
      return { exit, said: said.join('\n') };
    },
    async close() {
      running.signal('SIGKILL');
      await running.exited;
      await desk.close();
      await removeJobDirectory(base);
    },
  };
}

function fieldsIn(text: string): Record<string, unknown> {
  const { contentType, body } = JSON.parse(text) as Record<string, string>;
  const bytes = Buffer.from(body ?? '', 'base64');
  return contentType === 'application/json'
    ? (JSON.parse(gunzipSync(bytes).toString()) as Record<string, unknown>)
    : Object.fromEntries(new URLSearchParams(bytes.toString()));
}
