import { type Budget, spendCharacters } from './budget.ts';
import { type BuiltIn, ofOne } from './built-in.ts';
import { toInteger } from './functions-conversion.ts';
import { errorValue, integerValue, stringValue } from './scalar.ts';
import type { Value } from './value.ts';

const DAY = 86_400n;

/** Seconds a date can be told for: the years 0000 to 9999. */
const earliest = -62_167_219_200n;
const latest = 253_402_300_799n;

/** Functions of time, in UTC. `time`, and `formatTime` without a time, need the world; without one they are an error. */
export const timeFunctions: readonly BuiltIn[] = [
  {
    name: 'time',
    fewest: 0,
    most: 0,
    apply: (_values, _budget, world) => (world === undefined ? errorValue : integerValue(world.nowSeconds)),
  },
  ofOne('interval', (value) => {
    const seconds = toInteger(value, Math.trunc);
    return seconds.kind === 'integer' ? stringValue(intervalText(seconds.value)) : errorValue;
  }),
  {
    name: 'formatTime',
    fewest: 0,
    most: 2,
    apply([time, format = stringValue('%c')], budget, world) {
      const now = world === undefined ? undefined : integerValue(world.nowSeconds);
      const at = time ?? now;
      return at === undefined ? errorValue : formatted(at, format, budget);
    },
  },
];

/** `days+hh:mm:ss` without leading parts that are zero. */
function intervalText(seconds: bigint): string {
  const [days, hours, minutes, rest] = [
    seconds / DAY,
    (seconds % DAY) / 3600n,
    (seconds % 3600n) / 60n,
    seconds % 60n,
  ];
  if (days !== 0n) return `${days}+${two(hours)}:${two(minutes)}:${two(rest)}`;
  if (hours !== 0n) return `${hours}:${two(minutes)}:${two(rest)}`;
  return minutes === 0n ? String(rest) : `${minutes}:${two(rest)}`;
}

function two(number: bigint | number): string {
  return String(number).replace('-', '').padStart(2, '0');
}

function formatted(time: Value, format: Value, budget: Budget): Value {
  if (time.kind !== 'integer' || format.kind !== 'string') return errorValue;
  if (time.value < earliest || time.value > latest || !spendCharacters(budget, format.value.length * 8))
    return errorValue;
  const date = new Date(Number(time.value) * 1000);
  return stringValue(
    format.value.replace(/%(.)/gsu, (whole, letter: string) => placeholders[letter]?.(date) ?? whole),
  );
}

const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const dayName = (date: Date): string => days[date.getUTCDay()] ?? '';
const monthName = (date: Date): string => months[date.getUTCMonth()] ?? '';
const yearText = (date: Date): string => String(date.getUTCFullYear()).padStart(4, '0');
const clockText = (date: Date): string => date.toISOString().slice(11, 19);
const dateText = (date: Date): string =>
  `${two(date.getUTCMonth() + 1)}/${two(date.getUTCDate())}/${yearText(date).slice(2)}`;

/** Days since the first of January. */
function dayOfYear(date: Date): number {
  const start = new Date(date);
  start.setUTCMonth(0, 1);
  return Math.round((date.getTime() - start.getTime()) / 86_400_000);
}

function weekOfYear(date: Date, firstDay: 0 | 1): string {
  const sinceFirstDay = (date.getUTCDay() + 7 - firstDay) % 7;
  return two(Math.floor((dayOfYear(date) + 7 - sinceFirstDay) / 7));
}

/** The placeholders of ANSI C's `strftime` in the C locale; another letter stays as it is written. */
const placeholders: Readonly<Record<string, (date: Date) => string>> = {
  a: (date) => dayName(date).slice(0, 3),
  A: dayName,
  b: (date) => monthName(date).slice(0, 3),
  B: monthName,
  c: (date) =>
    `${dayName(date).slice(0, 3)} ${monthName(date).slice(0, 3)} ${String(date.getUTCDate()).padStart(2)} ${clockText(date)} ${yearText(date)}`,
  d: (date) => two(date.getUTCDate()),
  H: (date) => two(date.getUTCHours()),
  I: (date) => two(date.getUTCHours() % 12 || 12),
  j: (date) => String(dayOfYear(date) + 1).padStart(3, '0'),
  m: (date) => two(date.getUTCMonth() + 1),
  M: (date) => two(date.getUTCMinutes()),
  p: (date) => (date.getUTCHours() < 12 ? 'AM' : 'PM'),
  S: (date) => two(date.getUTCSeconds()),
  U: (date) => weekOfYear(date, 0),
  w: (date) => String(date.getUTCDay()),
  W: (date) => weekOfYear(date, 1),
  x: dateText,
  X: clockText,
  y: (date) => yearText(date).slice(2),
  Y: yearText,
  Z: () => 'UTC',
  '%': () => '%',
};
