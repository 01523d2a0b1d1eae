import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { CoPilotError } from '../../protocol/errors.ts';
import { viewSteps, type ViewStep } from './jail-file-system.ts';
import { checkSpec } from './launch-spec.ts';
import type { IsolationMethod, LaunchSpec, Limits } from './launcher.ts';

/** A program to run jailed: a job, or a whole agent. */
export interface JailSpec extends Omit<LaunchSpec, 'limits' | 'stdoutFile' | 'stderrFile'> {
  readonly limits: Omit<Limits, 'wallSeconds' | 'files' | 'outputMiB'>;
  /** Whether the program may make jails itself, as an agent must; jobs may not. */
  readonly nesting: boolean;
  /**
   * The uid and gid of the program where we are root, its own alone; required there by every method but `none`, ignored
   * elsewhere. The work directory and all in it are given to it.
   */
  readonly uid?: number;
  /**
   * `report`: while the jail is built descriptor 2 takes what goes wrong and then one line, `started`; from there on the
   * program's standard error is descriptor 3 and it has no other but 0, 1 and 2. `direct`: descriptors stay as the caller gave them.
   */
  readonly descriptors: 'report' | 'direct';
}

/** What to give to `child_process.spawn`, with the caller's own `stdio` added. Must be spawned by the process that asked for it. */
export interface JailCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly options: { readonly env: Record<string, string>; readonly cwd: string; readonly detached: true };
}

const toolPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const bytesPerMiB = 1_048_576;
const defaultOpenFiles = 1024;
/** The kernel kills at the hard limit what caught or ignored the signal at the soft one. */
const cpuGraceSeconds = 5;
const noPrivileges = ['--no-new-privs', '--inh-caps=-all'];
const noCapabilitiesEver = [...noPrivileges, '--bounding-set=-all'];

const scriptFile = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const scriptText = (name: string): string => readFileSync(scriptFile(name), 'utf8');
/** Scripts that run where our own files are not visible travel as text; their arguments stay positional. */
const inlineScript = (name: string): string[] => ['/bin/sh', '-c', scriptText(name), 'co-pilot'];
const fileScript = (name: string): string[] => ['/bin/sh', scriptFile(name)];

export const isRoot = (): boolean => process.getuid?.() === 0;

/** MiB that the private /tmp and /dev/shm hold each: they are memory, so they are bounded by the memory limit. */
export function temporaryMiB(limits: Pick<Limits, 'memoryMiB' | 'diskMiB'>): number {
  return Math.max(16, Math.floor(Math.min(limits.memoryMiB, limits.diskMiB) / 4));
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
  /** Whether the jail is built by root and the program then gets another uid. */
  readonly dropped: boolean;
}

function identityOf(spec: JailSpec): Identity {
  if (!isRoot()) return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, dropped: false };
  const { uid } = spec;
  if (uid === undefined || !Number.isInteger(uid) || uid < 1 || uid > 0x7ffffffe) {
    throw new CoPilotError('LAUNCH_REFUSED', 'root needs a uid to give to what it jails');
  }
  return { uid, gid: uid, dropped: true };
}

/** The hard limit of this process, which a child cannot pass; undefined where there is none or nobody says. */
function hardLimit(name: string): number | undefined {
  let table: string;
  try {
    table = readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return undefined; // no /proc: not Linux, where only `none` works
  }
  const line = table.split('\n').find((candidate) => candidate.startsWith(name));
  const hard = line?.slice(name.length).trim().split(/\s+/)[1];
  return hard === undefined || hard === 'unlimited' ? undefined : Number(hard);
}

const clamp = (wanted: number, name: string): number => Math.min(wanted, hardLimit(name) ?? wanted);

/** Before Linux 5.14 the count is of all processes of the uid, ours included, wherever they live. */
function countsPerNamespace(): boolean {
  const [major = 0, minor = 0] = release().split('.').map(Number);
  return major > 5 || (major === 5 && minor >= 14);
}

function resourceLimits(spec: JailSpec, countProcesses: boolean): string[] {
  const { limits } = spec;
  const args = [
    'prlimit',
    '--core=0',
    `--nofile=${clamp(limits.openFiles ?? defaultOpenFiles, 'Max open files')}`,
    `--fsize=${clamp(Math.ceil(limits.diskMiB * bytesPerMiB), 'Max file size')}`,
  ];
  if (limits.cpuSeconds !== undefined) {
    const seconds = Math.ceil(limits.cpuSeconds);
    args.push(`--cpu=${clamp(seconds, 'Max cpu time')}:${clamp(seconds + cpuGraceSeconds, 'Max cpu time')}`);
  }
  if (countProcesses) args.push(`--nproc=${clamp(Math.ceil(limits.processes), 'Max processes')}`);
  return [...args, '--'];
}

const environmentOf = (spec: JailSpec): Record<string, string> => ({
  PATH: toolPath,
  LANG: 'C.UTF-8',
  ...spec.environment,
  HOME: spec.workDirectory,
});

/** The program's variables travel under names of ours, so that none of them (LD_PRELOAD, ENV, …) reaches the layers around it. */
function carriedEnvironment(spec: JailSpec): Record<string, string> {
  const pairs = Object.entries(environmentOf(spec)).map(([name, value]) => `${name}=${value}`);
  const carried = pairs.map((pair, index) => [`CO_PILOT_JOB_ENV_${index + 1}`, pair] as const);
  return { PATH: toolPath, ...Object.fromEntries(carried) };
}

function programStage(spec: JailSpec): string[] {
  const variables = Object.keys(environmentOf(spec)).length;
  const fixed = [spec.descriptors, String(variables), spec.workDirectory];
  return [...inlineScript('job.sh'), ...fixed, spec.command, ...spec.arguments];
}

/** Inside a finished view of the file system: takes every privilege away for good, then runs the program. */
function confinedStage(spec: JailSpec, identity: Identity): string[] {
  const limits = resourceLimits(spec, identity.dropped || countsPerNamespace());
  const drop = identity.dropped
    ? ['setpriv', ...['--reuid', '--regid'].flatMap((flag) => [flag, String(identity.uid)])]
    : [];
  const change = identity.dropped ? [...drop, '--clear-groups', ...noCapabilitiesEver, '--'] : [];
  const { uid, gid } = identity;
  const own = ['unshare', '--user', `--map-user=${uid}`, `--map-group=${gid}`, '--keep-caps', '--'];
  if (spec.nesting) {
    // Where the jail's builder is not root it is root of a namespace: what it built must be out of the program's reach.
    const leave = identity.dropped ? [] : own;
    const forget = ['setpriv', ...noPrivileges, '--ambient-caps=-all', '--'];
    return [...change, ...leave, ...limits, ...forget, ...programStage(spec)];
  }
  const lock = [...own, ...inlineScript('lock.sh')];
  const forget = ['setpriv', ...noCapabilitiesEver, '--ambient-caps=-all', '--'];
  return [...change, ...lock, ...limits, ...forget, ...programStage(spec)];
}

function bubblewrapSteps(steps: readonly ViewStep[]): string[] {
  const args: string[] = [];
  const sealed: string[] = [];
  for (const step of steps) {
    switch (step.kind) {
      case 'directory':
        args.push('--perms', '0755', '--dir', step.path);
        break;
      case 'read':
        args.push('--ro-bind', step.path, step.path);
        break;
      case 'write':
        args.push('--bind', step.path, step.path);
        break;
      case 'hide':
        if (step.isDirectory) {
          args.push('--perms', '0755', '--size', '65536', '--tmpfs', step.path);
          sealed.push('--remount-ro', step.path);
        } else args.push('--ro-bind', '/dev/null', step.path);
        break;
      case 'link':
        args.push('--symlink', step.target, step.path);
        break;
    }
  }
  return [...args, ...sealed];
}

const bubblewrapCapabilities = ['CAP_SETUID', 'CAP_SETGID', 'CAP_SETPCAP', 'CAP_SYS_ADMIN'];

function bubblewrapStage(spec: JailSpec, identity: Identity, steps: readonly ViewStep[]): string[] {
  const temporary = String(temporaryMiB(spec.limits) * bytesPerMiB);
  const privileges = identity.dropped
    ? bubblewrapCapabilities.flatMap((capability) => ['--cap-add', capability])
    : ['--unshare-user'];
  return [
    ...fileScript('bubblewrap.sh'),
    ...[String(identity.uid), String(identity.gid), spec.workDirectory],
    ...[
      '--unshare-pid',
      '--unshare-ipc',
      '--unshare-uts',
      '--die-with-parent',
      '--new-session',
      '--as-pid-1',
      ...privileges,
    ],
    ...(spec.network === 'none' ? ['--unshare-net'] : []),
    ...['--proc', '/proc', '--dev', '/dev', '--perms', '1777', '--size', temporary, '--tmpfs', '/dev/shm'],
    ...['--remount-ro', '/dev', '--perms', '1777', '--size', temporary, '--tmpfs', '/tmp'],
    ...[
      '--perms',
      '0755',
      '--dir',
      '/mnt',
      '--perms',
      '0755',
      '--dir',
      '/var',
      '--symlink',
      '/tmp',
      '/var/tmp',
    ],
    ...bubblewrapSteps(steps),
    ...['--remount-ro', '/', '--'],
    ...[...inlineScript('init.sh'), identity.dropped ? 'root' : 'user'],
    ...confinedStage(spec, identity),
  ];
}

function unshareSteps(steps: readonly ViewStep[]): string[] {
  return steps.flatMap((step) => {
    if (step.kind === 'hide') return [step.isDirectory ? 'hide-directory' : 'hide-file', step.path];
    return step.kind === 'link' ? ['link', step.path, step.target] : [step.kind, step.path];
  });
}

function unshareStage(spec: JailSpec, identity: Identity, steps: readonly ViewStep[]): string[] {
  const temporary = String(temporaryMiB(spec.limits) * bytesPerMiB);
  return [
    'unshare',
    // The mount programs refuse to work for anybody but root, be it root of a namespace that maps to an ordinary user.
    ...(identity.dropped ? [] : ['--user', '--map-root-user']),
    ...['--mount', '--pid', '--fork', '--ipc', '--uts', '--kill-child'],
    ...(spec.network === 'none' ? ['--net'] : []),
    '--',
    ...fileScript('unshare.sh'),
    ...[temporary, String(identity.uid), String(identity.gid), spec.workDirectory],
    ...[...unshareSteps(steps), '--', ...confinedStage(spec, identity)],
  ];
}

function uidStage(spec: JailSpec, identity: Identity): string[] {
  const hidden = spec.hiddenPaths ?? [];
  const limits = resourceLimits(spec, true);
  return [...fileScript('uid.sh'), String(identity.uid), ...hidden, '--', ...limits, ...programStage(spec)];
}

function noneStage(spec: JailSpec): string[] {
  const { limits } = spec;
  const openFiles = clamp(limits.openFiles ?? defaultOpenFiles, 'Max open files');
  const blocks = Math.ceil((limits.diskMiB * bytesPerMiB) / 512);
  const cpu = limits.cpuSeconds === undefined ? '-' : String(Math.ceil(limits.cpuSeconds));
  const fixed = [process.pid, openFiles, blocks, cpu].map(String);
  return [...fileScript('none.sh'), ...fixed, ...programStage(spec)];
}

function guarded(
  spec: JailSpec,
  identity: Identity,
  deathSignal: string,
  stage: readonly string[],
): string[] {
  const owner = identity.dropped ? String(identity.uid) : '-';
  const guard = [...fileScript('guard.sh'), String(process.pid), owner, spec.workDirectory];
  return ['setpriv', '--pdeathsig', deathSignal, '--', ...guard, ...stage];
}

function chain(method: IsolationMethod, spec: JailSpec): string[] {
  if (method === 'none') return noneStage(spec);
  const identity = identityOf(spec);
  if (method === 'uid') return guarded(spec, identity, 'TERM', uidStage(spec, identity));
  const steps = viewSteps({ ...spec, hiddenPaths: spec.hiddenPaths ?? [] });
  const stage = method === 'bubblewrap' ? bubblewrapStage : unshareStage;
  return guarded(spec, identity, 'KILL', stage(spec, identity, steps));
}

function checkMethod(method: IsolationMethod, spec: JailSpec): void {
  const isolatesNetwork = method === 'bubblewrap' || method === 'unshare';
  if (spec.network === 'none' && !isolatesNetwork) {
    throw new CoPilotError('LAUNCH_REFUSED', `the isolation ${method} cannot cut the network off`);
  }
  if (method === 'uid' && !isRoot()) {
    throw new CoPilotError('LAUNCH_REFUSED', 'only root can run a program under another uid');
  }
}

/**
 * The command that runs `spec` jailed by `method`. Looks at the file system, changes nothing; the command itself gives the work
 * directory away where we are root. The program ends with the process (and thread) that spawns the command, also when that is
 * killed. To end it: SIGTERM to its processes, then SIGKILL to the spawned process. Throws `LAUNCH_REFUSED`.
 */
export function jailCommand(method: IsolationMethod, spec: JailSpec): JailCommand {
  checkSpec(spec);
  checkMethod(method, spec);
  const [file = '', ...args] = chain(method, spec);
  return { file, args, options: { env: carriedEnvironment(spec), cwd: '/', detached: true } };
}
