import { closeSync, openSync, readdirSync, readlinkSync, readSync, statSync, type Stats } from 'node:fs';

/** One process as /proc shows it. `startTicks` with `pid` names it for good: pids are used again. */
export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly session: number;
  /** CPU time of itself and of the children it has waited for. */
  readonly cpuSeconds: number;
  readonly startTicks: number;
  readonly isZombie: boolean;
}

/** The kernel counts user-visible ticks at this rate on every architecture Node runs on. */
const ticksPerSecond = 100;
const afterName = { state: 0, parent: 1, session: 3, cpuFirst: 11, cpuLast: 14, start: 19 } as const;

/** As much of a file as is read: what is asked for stands at its beginning. */
const beginning = Buffer.alloc(16 * 1024);

/** Into one buffer for all: a whole table is read several times a second. */
function read(path: string): string | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    return beginning.toString('latin1', 0, readSync(file, beginning));
  } catch {
    return undefined; // the process ended meanwhile, or belongs to somebody else
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Parses /proc/<pid>/stat; the name in parentheses may itself hold spaces and parentheses. */
export function parseStat(pid: number, stat: string): ProcessEntry {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(afterName.cpuFirst, afterName.cpuLast + 1).map(Number);
  const state = fields[afterName.state];
  return {
    pid,
    parent: Number(fields[afterName.parent]),
    session: Number(fields[afterName.session]),
    cpuSeconds: ticks.reduce((sum, tick) => sum + tick, 0) / ticksPerSecond,
    startTicks: Number(fields[afterName.start]),
    isZombie: state === 'Z' || state === 'X',
  };
}

/** Every process there is now; empty where there is no /proc. */
export function listProcesses(): ProcessEntry[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  const entries: ProcessEntry[] = [];
  for (const name of names) {
    if (!/^[0-9]+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    if (stat !== undefined) entries.push(parseStat(Number(name), stat));
  }
  return entries;
}

/** How old a table may be that a job is measured by. */
const recentMs = 300;
let recent: { readonly table: readonly ProcessEntry[]; readonly atMs: number } = {
  table: [],
  atMs: -recentMs,
};

/**
 * The table a moment ago, from where `pid` was there already: jobs that run side by side are measured by one look, which would else
 * cost all processes of the machine for each job.
 */
export function recentProcesses(pid: number): readonly ProcessEntry[] {
  const isRecent = performance.now() - recent.atMs < recentMs;
  if (!isRecent || !recent.table.some((entry) => entry.pid === pid))
    recent = { table: listProcesses(), atMs: performance.now() };
  return recent.table;
}

/** `root` and everything below it. */
export function descendants(root: number, table: readonly ProcessEntry[]): ProcessEntry[] {
  const children = Map.groupBy(table, (entry) => entry.parent);
  const found = table.filter((entry) => entry.pid === root);
  for (const entry of found) found.push(...(children.get(entry.pid) ?? []));
  return found;
}

const statusField = (pid: number, field: string): string[] =>
  new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(read(`/proc/${pid}/status`) ?? '')?.[1]?.split(/\s+/) ?? [];

/** Whether the process is the first of a process namespace below ours. */
export function isNamespaceInit(pid: number): boolean {
  const ids = statusField(pid, 'NSpid');
  return ids.length > 1 && ids.at(-1) === '1';
}

/** Its real user id; undefined once it has ended. */
export function realUid(pid: number): number | undefined {
  const uid = statusField(pid, 'Uid')[0];
  return uid === undefined ? undefined : Number(uid);
}

/** Resident memory in MiB; counts what processes share once for each. */
export function residentMiB(pid: number): number {
  return Number(statusField(pid, 'VmRSS')[0] ?? 0) / 1024;
}

/** Memory in MiB with shared pages divided among those who share them: dearer to ask, falls back to what is resident. */
export function proportionalMiB(pid: number): number {
  const pss = /^Pss:\s+([0-9]+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '')?.[1];
  return pss === undefined ? residentMiB(pid) : Number(pss) / 1024;
}

const maxDescriptors = 8_192;

/** MiB in files that have no name any more but are held open, anonymous memory files included, each counted once. */
export function unnamedFilesMiB(pids: readonly number[]): number {
  const sizes = new Map<string, number>();
  let left = maxDescriptors;
  for (const pid of pids) {
    for (const name of listDescriptors(pid).slice(0, left)) {
      left -= 1;
      const stat = statDescriptor(`/proc/${pid}/fd/${name}`);
      if (stat?.isFile() && stat.nlink === 0) sizes.set(`${stat.dev}:${stat.ino}`, stat.blocks * 512);
    }
  }
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0) / 1_048_576;
}

/** Whether one of them has the socket of this inode open; looks at no more descriptors than `unnamedFilesMiB` does. */
export function haveSocketOpen(pids: readonly number[], inode: number): boolean {
  const name = `socket:[${inode}]`;
  let left = maxDescriptors;
  for (const pid of pids) {
    for (const descriptor of listDescriptors(pid).slice(0, left)) {
      left -= 1;
      if (linkOfDescriptor(`/proc/${pid}/fd/${descriptor}`) === name) return true;
    }
  }
  return false;
}

function linkOfDescriptor(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // closed or ended meanwhile
  }
}

function listDescriptors(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`);
  } catch {
    return []; // ended, or not ours to see
  }
}

function statDescriptor(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // closed or ended meanwhile
  }
}
