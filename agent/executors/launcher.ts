/** How a job is kept apart from the agent and from other jobs, strongest first; `none` only where a person chose it. */
export type IsolationMethod = 'bubblewrap' | 'unshare' | 'uid' | 'none';

/** What one job may use. Whole process tree where nothing else is said; sampled limits may be overrun for about one sample (0.5 s; disk 1 s). */
export interface Limits {
  readonly wallSeconds: number;
  /** CPU time of all its processes together. */
  readonly cpuSeconds?: number;
  /** Resident memory. The private /tmp and /dev/shm hold at most half of this again (`temporaryMiB`). */
  readonly memoryMiB: number;
  /** The work directory, inputs included, with deleted files still held open; and the size of any single file. */
  readonly diskMiB: number;
  /** Standard output and standard error, each; over it the job ends with `disk` and the file is cut there. Default: `diskMiB`. */
  readonly outputMiB?: number;
  /** Entries (files, directories, links) in the work directory. */
  readonly files: number;
  /** Descriptors open at once in one process. Default: 1,024. */
  readonly openFiles?: number;
  /** Processes and threads at once: node alone has about a dozen. Not enforced by `none`, nor without root before Linux 5.14. */
  readonly processes: number;
}

export interface LaunchSpec {
  /** A program: absolute, relative to the work directory, or looked up in PATH. */
  readonly command: string;
  readonly arguments: readonly string[];
  /** All the job gets besides PATH (default where absent here), HOME (the work directory) and LANG (default `C.UTF-8`). */
  readonly environment: Readonly<Record<string, string>>;
  /** Absolute; visible at its own path, writable, current directory and HOME. Given to the job's own uid where we are root. */
  readonly workDirectory: string;
  /** Absolute paths the job may read, at the same place. */
  readonly readOnly: readonly string[];
  /** Paths the job must not read even where they lie below a visible one. `uid` refuses to launch where it could. */
  readonly hiddenPaths?: readonly string[];
  readonly stdoutFile: string;
  readonly stderrFile: string;
  readonly limits: Limits;
  /** `uid` and `none` cannot cut the network off and refuse `none`. */
  readonly network: 'host' | 'none';
}

/** Wall and CPU seconds; the highest memory and disk seen, in MiB. */
export interface Usage {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
}

export type LimitName = 'wall' | 'memory' | 'disk' | 'cpu' | 'files';

/** How a job ended. Exit codes 129 to 192 mean a signal, as in every shell: the layers between pass nothing better on. */
export type Ending =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signalled'; readonly signal: string }
  | { readonly kind: 'limit'; readonly limit: LimitName }
  /** The job's own program never began; `reason` is what the isolation said, at most 2,000 characters. */
  | { readonly kind: 'not-started'; readonly reason: string };

export type Exit = Ending & { readonly usage: Usage };

/** Signals a caller may send to a job. */
export type JobSignal = 'SIGTERM' | 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGINT' | 'SIGUSR1' | 'SIGUSR2';

export interface Running {
  /** The outermost process of the job, as the agent sees it. */
  readonly pid: number;
  /** Never rejects. Once it resolves no process of the job is left (`none` excepted: a job may hide from it). */
  readonly exited: Promise<Exit>;
  /** To every process of the job; after the end a no-op. */
  signal(signal: JobSignal): void;
  usage(): Usage;
  /** Whether a process of the job has the socket open that /proc names by this inode; false after the end. */
  holdsSocket(inode: number): boolean;
}

/** Runs untrusted programs, each apart from everything else, under limits. */
export interface Launcher {
  /** Throws `LAUNCH_REFUSED` where the spec is wrong or cannot be honoured; any later failure is an `Exit`. */
  launch(spec: LaunchSpec): Running;
}
