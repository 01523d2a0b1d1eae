const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 } as const;
const KIBIBYTES = { K: 1, M: 1024, G: 1024 ** 2, T: 1024 ** 3 } as const;

/** Seconds of a duration such as `10m`; undefined where it is none. */
export function secondsOf(text: string): number | undefined {
  const [, amount, unit] = /^([0-9]{1,9})([smhd])$/.exec(text) ?? [];
  if (amount === undefined || !isKey(SECONDS, unit)) return undefined;
  return Number(amount) * SECONDS[unit];
}

/** Bytes of a size such as `512MiB`; undefined where it is none. */
export function bytesOfSize(text: string): number | undefined {
  const [, amount, unit] = /^([0-9]{1,9})([KMGT])iB$/.exec(text) ?? [];
  if (amount === undefined || !isKey(KIBIBYTES, unit)) return undefined;
  return Number(amount) * KIBIBYTES[unit] * 1024;
}

function isKey<T extends object>(table: T, key: string | undefined): key is Extract<keyof T, string> {
  return key !== undefined && Object.hasOwn(table, key);
}
