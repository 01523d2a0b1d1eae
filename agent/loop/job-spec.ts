import { CoPilotError } from '../../protocol/errors.ts';
import type { Description, HostAd } from '../../protocol/generated/types.ts';
import type { LaunchSpec } from '../executors/launcher.ts';
import type { KeptLease, Workplace } from '../store/store.ts';
import type { JobSurroundings } from './context.ts';

/** Processes and threads of a job that states no bound of its own. */
const DEFAULT_PROCESSES = 512;
/** Files, directories and links in a work directory. */
const MAX_FILES = 20_000;
/** Standard output and error, each. */
const MAX_OUTPUT_MIB = 64;

/** What the agent asks of its launcher for one attempt; the job learns who it is from its environment. */
export function launchSpec(
  lease: KeptLease,
  slot: number,
  place: Workplace,
  surroundings: JobSurroundings,
): LaunchSpec {
  const { environment, limits } = lease.description;
  const [command, ...words] = [...surroundings.wrap, lease.description.command];
  return {
    command,
    arguments: [...words, ...lease.description.arguments],
    environment: {
      PATH: surroundings.path,
      ...plainEnvironment(environment),
      ...surroundings.variables,
      COPILOT_JOB: lease.job,
      COPILOT_ATTEMPT: String(lease.attempt),
      COPILOT_SLOT: String(slot),
      COPILOT_PROGRESS: place.progressFile,
    },
    workDirectory: place.directory,
    readOnly: surroundings.readOnly,
    hiddenPaths: surroundings.hiddenPaths,
    stdoutFile: place.stdoutFile,
    stderrFile: place.stderrFile,
    limits: {
      wallSeconds: limits.wallSeconds,
      ...(limits.cpuSeconds !== undefined && { cpuSeconds: limits.cpuSeconds }),
      memoryMiB: limits.memoryMiB,
      diskMiB: limits.diskMiB,
      outputMiB: Math.min(limits.diskMiB, MAX_OUTPUT_MIB),
      files: MAX_FILES,
      processes: limits.processes ?? DEFAULT_PROCESSES,
    },
    network: surroundings.network,
  };
}

/** The same jail, with more variables in it. */
export function withVariables(
  surroundings: JobSurroundings,
  variables: Readonly<Record<string, string>>,
): JobSurroundings {
  return { ...surroundings, variables: { ...surroundings.variables, ...variables } };
}

/** The input a job runs as its program, where the command names one. */
export function programInput(description: Description): string | undefined {
  const { command } = description;
  return command.startsWith('./') ? command.slice(2) : undefined;
}

/**
 * A program is found by name on the jail's PATH, or is one of the inputs. Throws `LAUNCH_REFUSED` for any other path:
 * what lies elsewhere on this host is no business of a job.
 */
export function checkCommand(description: Description): void {
  const input = programInput(description);
  const isKnown =
    input === undefined
      ? !description.command.includes('/')
      : description.inputs.some(({ name }) => name === input);
  if (!isKnown)
    throw new CoPilotError(
      'LAUNCH_REFUSED',
      'the command is neither a name on the path nor one of the inputs',
    );
}

/** Why this host cannot run what was leased to it; undefined where it can. A broker that matches well never leases such a job. */
export function whyUnable(description: Description, ad: HostAd): string | undefined {
  const { memoryMiB, diskMiB } = description.limits;
  const inputMiB = description.inputs.reduce((sum, { size }) => sum + size, 0) / 1_048_576;
  const memory = ad['MemoryMiB'];
  const disk = ad['DiskMiB'];
  if (typeof memory === 'number' && memoryMiB > memory) return 'the job wants more memory than there is';
  if (typeof disk === 'number' && Math.max(diskMiB, inputMiB) > disk)
    return 'the job wants more disk than there is';
  return undefined;
}

function plainEnvironment(environment: Description['environment']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((pair): pair is [string, string] => pair[1] !== undefined),
  );
}
