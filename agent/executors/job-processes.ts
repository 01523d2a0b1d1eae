import type { IsolationMethod, JobSignal } from './launcher.ts';
import {
  descendants,
  haveSocketOpen,
  isNamespaceInit,
  listProcesses,
  proportionalMiB,
  realUid,
  recentProcesses,
  residentMiB,
  unnamedFilesMiB,
  type ProcessEntry,
} from './process-table.ts';

/** What a job's processes use together now. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
}

/** The processes of one job, found anew at each question. */
export interface JobProcesses {
  /** CPU of the whole tree, and its memory; shared pages are divided fairly only where a plain sum is over `limitMiB`. */
  measure(limitMiB: number): ProcessUsage;
  /** MiB in files the job deleted and still holds open. */
  unnamedMiB(): number;
  /** To every process of the job but the layers around it. */
  signal(name: JobSignal): void;
  /** SIGKILL, in the order that leaves nothing behind. */
  kill(): void;
  /** Whether one of them has the socket of this inode open. */
  holdsSocket(inode: number): boolean;
  /** Whether anything of the job is still there once its outermost process has ended. */
  anyLeft(): boolean;
}

/** 0 and -1 mean to the kernel our own group and every process of ours: never by way of a pid that was not there. */
function send(pid: number, signal: NodeJS.Signals): void {
  if (!Number.isInteger(pid) || Math.abs(pid) <= 1) return;
  try {
    process.kill(pid, signal);
  } catch {
    // It ended since it was listed.
  }
}

const alive = (entry: ProcessEntry): boolean => !entry.isZombie;

/** Processes that another of the same start time and pid has replaced are other processes. */
const isSame = (a: ProcessEntry, b: ProcessEntry): boolean =>
  a.pid === b.pid && a.startTicks === b.startTicks;

/** What was seen of a job that may outlive its outermost process; at most one entry per process it ever had at a sample. */
const maxRemembered = 10_000;

/** Of a job whose outermost process could not even be started. */
const noProcesses: JobProcesses = {
  measure: () => ({ cpuSeconds: 0, memoryMiB: 0 }),
  unnamedMiB: () => 0,
  holdsSocket: () => false,
  signal: () => undefined,
  kill: () => undefined,
  anyLeft: () => false,
};

/**
 * `outer` is the process we spawned. A namespace's processes are all below it, whatever they fork; under a uid of its own a job
 * is all that has the uid; without isolation it is the session and what was ever seen below it.
 */
export function createJobProcesses(
  method: IsolationMethod,
  outer: number | undefined,
  uid: number | undefined,
): JobProcesses {
  if (outer === undefined || outer <= 1) return noProcesses;
  let remembered: ProcessEntry[] = [];

  const belongs = (table: readonly ProcessEntry[]): ProcessEntry[] => {
    if (method === 'uid') return table.filter((entry) => uid !== undefined && realUid(entry.pid) === uid);
    const below = descendants(outer, table).filter((entry) => entry.pid !== outer);
    const seen = table.filter((entry) => remembered.some((known) => isSame(known, entry)));
    const session = method === 'none' ? table.filter((entry) => entry.session === outer) : [];
    return [...new Set([...below, ...seen, ...session])].filter((entry) => entry.pid !== outer);
  };
  const remember = (table: readonly ProcessEntry[]): ProcessEntry[] => {
    const found = belongs(table).filter(alive);
    remembered = found.slice(0, maxRemembered);
    return found;
  };
  const members = (): ProcessEntry[] => remember(listProcesses());
  const inits = (found: readonly ProcessEntry[]): ProcessEntry[] =>
    found.filter((entry) => entry.parent === outer && isNamespaceInit(entry.pid));

  const killGroup = (): void => send(-outer, 'SIGKILL');
  const killNamespace = (): void => {
    const found = members();
    const first = inits(found);
    // The kernel ends a namespace with its first process, and the outermost one then waits until all of it is gone.
    if (first.length === 0)
      for (const pid of [outer, ...found.map((entry) => entry.pid)]) send(pid, 'SIGKILL');
    for (const entry of first) send(entry.pid, 'SIGKILL');
  };
  const killEach = (): void => {
    for (const entry of members()) send(entry.pid, 'SIGKILL');
  };

  return {
    measure(limitMiB) {
      const table = recentProcesses(outer);
      const found = remember(table);
      const counted = method === 'uid' ? found : descendants(outer, table);
      const cpuSeconds = counted.reduce((sum, entry) => sum + entry.cpuSeconds, 0);
      const resident = found.reduce((sum, entry) => sum + residentMiB(entry.pid), 0);
      if (resident <= limitMiB) return { cpuSeconds, memoryMiB: resident };
      return { cpuSeconds, memoryMiB: found.reduce((sum, entry) => sum + proportionalMiB(entry.pid), 0) };
    },
    unnamedMiB: () => unnamedFilesMiB(remember(recentProcesses(outer)).map((entry) => entry.pid)),
    holdsSocket(inode) {
      const found = members();
      return haveSocketOpen(
        found.map((entry) => entry.pid),
        inode,
      );
    },
    signal(name) {
      const found = members();
      const layers = new Set(inits(found).map((entry) => entry.pid));
      for (const entry of found) if (!layers.has(entry.pid)) send(entry.pid, name);
    },
    kill() {
      if (method === 'bubblewrap' || method === 'unshare') killNamespace();
      else killEach();
      if (method === 'none') killGroup();
    },
    anyLeft: () => members().length > 0,
  };
}
