import { open, readFile, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { detectIsolation, type IsolationMethod } from '../../agent/executors/index.ts';
import { newId } from '../../protocol/encoding.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

const METHODS: readonly IsolationMethod[] = ['bubblewrap', 'unshare', 'uid'];
const HINTS: Readonly<Partial<Record<IsolationMethod, string>>> = {
  bubblewrap: 'apt-get install bubblewrap',
  unshare: 'apt-get install util-linux, and allow user namespaces',
};
const FILES_WANTED = 4096;
const FREE_LOW = 1024 ** 3;
const FREE_NONE = 64 * 1024 ** 2;
const PROBES = 8;
const SLOW_SYNC_MS = 50;
/** A sync that never reaches a disk takes some microseconds. */
const NO_SYNC_MS = 0.02;
const MIN_NODE = [24, 15] as const;

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isGood = major > MIN_NODE[0] + 1 || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  return isGood
    ? ok('node', version)
    : problem('node', version, 'start through bin/co-pilot.mjs, which finds or fetches Node 24');
}

/** Each method with a job that tries what jobs must not be able to do. One that works is enough. */
export async function checkIsolation(): Promise<readonly Finding[]> {
  const tried = [];
  for (const method of METHODS) {
    const detection = await detectIsolation(method, { clock: nodeClock });
    tried.push(...detection.attempts);
  }
  const works = tried.some((attempt) => attempt.works);
  return tried.map(({ method, works: holds, reason }) => {
    const what = `isolation by ${method}`;
    const line = reason.split('\n')[0] ?? '';
    if (holds) return ok(what, line);
    return works
      ? ok(what, `not available, and not needed: ${line}`)
      : problem(
          what,
          line,
          HINTS[method] ?? 'or run agents as root, which lets jobs have users of their own',
        );
  });
}

export async function checkUserNamespaces(): Promise<Finding> {
  const what = 'user namespaces';
  const most = await numberIn('/proc/sys/user/max_user_namespaces');
  const restricted = await numberIn('/proc/sys/kernel/apparmor_restrict_unprivileged_userns');
  if (most === 0)
    return warning(
      what,
      'switched off',
      'sysctl user.max_user_namespaces=10000, if agents run here unprivileged',
    );
  if (restricted === 1)
    return warning(what, 'restricted by AppArmor', 'give bubblewrap an AppArmor profile, if agents run here');
  return ok(what, most === undefined ? 'the system sets no bound' : `up to ${most}`);
}

async function numberIn(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text);
}

export async function checkOpenFiles(): Promise<Finding> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '');
  const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(limits) ?? [];
  const what = 'open files';
  if (soft === undefined) return warning(what, 'the limit cannot be read here', 'look at ulimit -n');
  if (soft === 'unlimited' || Number(soft) >= FILES_WANTED) return ok(what, `up to ${soft}`);
  return warning(
    what,
    `up to ${soft}; each agent and each transfer takes one`,
    'raise LimitNOFILE of the service, or ulimit -n',
  );
}

export async function checkDisk(directory: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  const detail = `${(free / 1024 ** 3).toFixed(1)} GiB free for ${directory}`;
  if (free < FREE_NONE) return problem('disk', detail, 'make room: work stops when the disk is full');
  return free < FREE_LOW ? warning('disk', detail, 'make room before it is full') : ok('disk', detail);
}

/** Eight small synced writes in a file of its own, removed afterwards. */
export async function checkSync(directory: string): Promise<Finding> {
  const path = join(directory, `.probe-${newId(nodeRandom)}`);
  const took: number[] = [];
  const file = await open(path, 'wx', 0o600);
  try {
    for (let at = 0; at < PROBES; at += 1) {
      const before = performance.now();
      await file.write(new Uint8Array(4096), 0, 4096, at * 4096);
      await file.sync();
      took.push(performance.now() - before);
    }
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
  return judgeSync(took.toSorted((one, other) => one - other)[PROBES / 2] ?? 0);
}

export function judgeSync(medianMs: number): Finding {
  const detail = `a synced write takes ${medianMs.toFixed(2)} ms`;
  if (medianMs < NO_SYNC_MS)
    return warning(
      'sync',
      `${detail}, which no disk does`,
      'put the data on a file system that keeps what it says it kept',
    );
  return medianMs > SLOW_SYNC_MS
    ? warning('sync', detail, 'put the ledger on a faster disk: every group of jobs waits for one')
    : ok('sync', detail);
}

/** Whether the wall clock goes as fast as the steady one; leases follow the latter alone. */
export async function checkClock(): Promise<Finding> {
  const before = nodeClock.wallMs() - nodeClock.monotonicMs();
  await new Promise((resolve) => setTimeout(resolve, 200));
  const driftMs = Math.abs(nodeClock.wallMs() - nodeClock.monotonicMs() - before);
  return judgeClock(nodeClock.wallMs(), driftMs);
}

const PLAUSIBLE_FROM_MS = Date.UTC(2025, 0, 1);
const MAX_DRIFT_MS = 100;

export function judgeClock(wallMs: number, driftMs: number): Finding {
  const now = new Date(wallMs).toISOString();
  if (wallMs < PLAUSIBLE_FROM_MS)
    return problem('clock', `it says ${now}`, 'set the clock: identities and capabilities bear its time');
  if (driftMs > MAX_DRIFT_MS)
    return warning(
      'clock',
      `it moved by ${driftMs.toFixed(0)} ms against the steady one while it was looked at`,
      'let one NTP service keep it; tokens allow for 60 s',
    );
  return ok('clock', now);
}
