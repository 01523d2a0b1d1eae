import type { CrabTask } from './crab-task.ts';

/** How many jobs an event-based split of a fake file makes. */
export function jobsOf({ totalEvents, eventsPerJob }: CrabTask): number {
  return Math.ceil(totalEvents / eventsPerJob);
}

/** One element of `input_args.json`, as the wrapper reads it: numbers as text, and `None` where there is nothing. */
export type InputArguments = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

/**
 * What job `number` (from 1) simulates. Events are counted from 1 and the last one is exclusive, lumi sections follow one another without
 * a gap, as WMCore's EventBased splits the file that `MakeFakeFileSet` makes up.
 */
export function inputArguments(task: CrabTask, number: number): InputArguments {
  const { eventsPerJob, eventsPerLumi, totalEvents } = task;
  const first = 1 + (number - 1) * eventsPerJob;
  const events = Math.min(eventsPerJob, totalEvents - (number - 1) * eventsPerJob);
  const lumisPerJob = Math.ceil(eventsPerJob / eventsPerLumi);
  return {
    inputFileList: `job_input_file_list_${number}.txt`,
    runAndLumis: `job_lumis_${number}.json`,
    jobNumber: number,
    CRAB_Id: String(number),
    lheInputFiles: task.isLhe,
    firstEvent: String(first),
    lastEvent: String(first + events),
    firstLumi: String(1 + (number - 1) * lumisPerJob),
    firstRun: '1',
    userSandbox: 'sandbox.tar.gz',
    cmsswVersion: task.software,
    scramArch: task.architecture,
    seeding: 'AutomaticSeeding',
    scriptExe: task.scriptExe === '' ? null : task.scriptExe,
    eventsPerLumi: eventsPerLumi,
    // -1 minute: no bound of the wrapper's own; the limits of the job are kept by the agent.
    maxRuntime: -60,
    scriptArgs: task.scriptArguments,
  };
}
