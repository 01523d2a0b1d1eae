import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { arch, availableParallelism, platform, totalmem } from 'node:os';
import { delimiter, join } from 'node:path';
import type { IsolationMethod } from './executors/launcher.ts';

/** What a machine offers, for matching: literals only, never an expression. */
export type HostAd = Readonly<Record<string, string | number | boolean>>;

export interface HostAdRequest {
  readonly isolation: IsolationMethod;
  readonly coPilotVersion: string;
  /** Where jobs work: its file system's free space is what is offered. */
  readonly workDirectory: string;
  /** Path to the node binary jobs may run, where the agent shows them one. */
  readonly nodePath?: string;
  /** Whether jobs see repositories of CVMFS. */
  readonly hasCvmfs?: boolean;
  /** Whether jobs in pilot mode can run. */
  readonly hasPilotMode?: boolean;
}

const bytesPerMiB = 1_048_576;
/** The names under which HTCondor knows systems and processors. */
const systems: Readonly<Record<string, string>> = { linux: 'LINUX', darwin: 'macOS', win32: 'WINDOWS' };
const architectures: Readonly<Record<string, string>> = { x64: 'X86_64', arm64: 'aarch64', ia32: 'INTEL' };
const searchPath = '/usr/local/bin:/usr/bin:/bin';

const toMiB = (bytes: number): number => Math.floor(bytes / bytesPerMiB);

function memoryMiB(): number {
  // 0, or beyond all memory there is, where no control group bounds us.
  const constrained = process.constrainedMemory();
  const bound = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return toMiB(bound);
}

async function diskMiB(directory: string): Promise<number> {
  const stat = await statfs(directory);
  return toMiB(stat.bavail * stat.bsize);
}

const hasProgram = (name: string): boolean =>
  searchPath.split(delimiter).some((directory) => existsSync(join(directory, name)));

/** Describes this machine as it is now; rejects only where the work directory's file system cannot be asked. */
export async function describeHost(request: HostAdRequest): Promise<HostAd> {
  return {
    Arch: architectures[arch()] ?? arch(),
    CoPilotVersion: request.coPilotVersion,
    Cpus: availableParallelism(),
    DiskMiB: await diskMiB(request.workDirectory),
    HasCvmfs: request.hasCvmfs ?? false,
    HasNode: request.nodePath !== undefined || hasProgram('node'),
    HasPilotMode: request.hasPilotMode ?? false,
    HasPython3: hasProgram('python3'),
    Isolation: request.isolation,
    MemoryMiB: memoryMiB(),
    NodeVersion: process.versions.node,
    OpSys: systems[platform()] ?? platform(),
  };
}
