export interface ProcessNumbers {
  readonly wallSeconds: number;
  readonly cpuSeconds: number;
  readonly memoryMiB: number;
}

/**
 * The line of a heartbeat: runtime as hh:mm:ss, runtime in seconds, %cpu, %mem, cputime, rsize, vsize (KiB), ncpu, cpufamily, cpuspeed,
 * cost, maxrsize, maxvsize. What nobody measured is 0.
 */
export function procInfoLine({ wallSeconds, cpuSeconds, memoryMiB }: ProcessNumbers): string {
  const wall = Math.floor(wallSeconds);
  const cpu = wall === 0 ? 0 : (100 * cpuSeconds) / wall;
  const size = Math.ceil(memoryMiB * 1024);
  const fields = [
    clockText(wall),
    wall,
    cpu.toFixed(1),
    0,
    Math.floor(cpuSeconds),
    size,
    size,
    1,
    0,
    0,
    0,
    size,
    size,
  ];
  return fields.join(' ');
}

function clockText(seconds: number): string {
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}
