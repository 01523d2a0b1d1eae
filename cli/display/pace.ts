import { durationText } from './progress.ts';

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** 512 bytes, 4.2 KiB, 118 MiB. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const text = unit === 0 || value >= 100 ? String(Math.round(value)) : value.toFixed(1);
  return `${text} ${UNITS[unit] ?? ''}`;
}

export interface Transfer {
  readonly files: number;
  readonly filesTotal: number;
  readonly bytes: number;
  readonly bytesTotal: number;
  /** Of `bytes`, those that had to travel: what was there already says nothing of the rate. */
  readonly moved: number;
  readonly elapsedMs: number;
}

/** `3 of 12 files, 4.2 MiB of 18.0 MiB, 1.3 MiB/s, about 0:11 left`; what is not known yet is left out. */
export function transferText(transfer: Transfer): string {
  const { files, filesTotal, bytes, bytesTotal, moved, elapsedMs } = transfer;
  const counts = `${files} of ${filesTotal} files, ${sizeText(bytes)} of ${sizeText(bytesTotal)}`;
  if (moved === 0 || elapsedMs <= 0) return counts;
  const perMs = moved / elapsedMs;
  return `${counts}, ${sizeText(perMs * 1000)}/s${leftText((bytesTotal - bytes) / perMs)}`;
}

/** `12 of 40 jobs, 4.0 a minute, about 7:00 left`. */
export function countText(what: string, done: number, total: number, perMinute: number | null): string {
  const counts = `${done} of ${total} ${what}`;
  if (perMinute === null || perMinute <= 0) return counts;
  return `${counts}, ${rateText(perMinute)} a minute${leftText(((total - done) / perMinute) * 60_000)}`;
}

/** Rates below a hundred with one digit more. */
export function rateText(perMinute: number): string {
  return perMinute < 100 ? perMinute.toFixed(1) : String(Math.round(perMinute));
}

/** How long ago, or how long still, in the one unit that says it: 12 s, 5 min, 3 h, 4 d. */
export function ageText(seconds: number): string {
  if (seconds < 100) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 6_000) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

function leftText(ms: number): string {
  return ms <= 0 ? '' : `, about ${durationText(ms)} left`;
}
