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
  const date = dateOf(Number(time.value));
  return stringValue(
    format.value.replace(/%(.)/gsu, (whole, letter: string) => placeholders[letter]?.(date) ?? whole),
  );
}

/** A moment in UTC; months, days of the year and hours count from 0, days of the month from 1, Sunday is 0. */
interface CalendarDate {
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly dayOfYear: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const daysBefore = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

function dateOf(seconds: number): CalendarDate {
  const days = Math.floor(seconds / 86_400);
  const inDay = seconds - days * 86_400;
  const year = yearOf(days);
  const dayOfYear = days - firstDayOf(year);
  const month = daysBefore.findLastIndex((_, at) => firstOfMonth(year, at) <= dayOfYear);
  return {
    year,
    month,
    day: dayOfYear - firstOfMonth(year, month) + 1,
    dayOfYear,
    // The first of January 1970 was a Thursday.
    weekday: (((days + 4) % 7) + 7) % 7,
    hour: Math.floor(inDay / 3600),
    minute: Math.floor(inDay / 60) % 60,
    second: inDay % 60,
  };
}

/** Days from the first of January 1970 to that of the year, by the Gregorian calendar. */
function firstDayOf(year: number): number {
  const before = year - 1;
  return year * 365 + Math.floor(before / 4) - Math.floor(before / 100) + Math.floor(before / 400) - 719_527;
}

function yearOf(days: number): number {
  const near = Math.floor((days + 719_528) / 365.2425);
  if (firstDayOf(near) > days) return near - 1;
  return firstDayOf(near + 1) <= days ? near + 1 : near;
}

function firstOfMonth(year: number, month: number): number {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  return (daysBefore[month] ?? 0) + (isLeap && month > 1 ? 1 : 0);
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

const dayName = (date: CalendarDate): string => days[date.weekday] ?? '';
const monthName = (date: CalendarDate): string => months[date.month] ?? '';
const yearText = (date: CalendarDate): string => String(date.year).padStart(4, '0');
const clockText = (date: CalendarDate): string => `${two(date.hour)}:${two(date.minute)}:${two(date.second)}`;
const dateText = (date: CalendarDate): string =>
  `${two(date.month + 1)}/${two(date.day)}/${yearText(date).slice(2)}`;

function weekOfYear(date: CalendarDate, firstDay: 0 | 1): string {
  const sinceFirstDay = (date.weekday + 7 - firstDay) % 7;
  return two(Math.floor((date.dayOfYear + 7 - sinceFirstDay) / 7));
}

/** The placeholders of ANSI C's `strftime` in the C locale; another letter stays as it is written. */
const placeholders: Readonly<Record<string, (date: CalendarDate) => string>> = {
  a: (date) => dayName(date).slice(0, 3),
  A: dayName,
  b: (date) => monthName(date).slice(0, 3),
  B: monthName,
  c: (date) =>
    `${dayName(date).slice(0, 3)} ${monthName(date).slice(0, 3)} ${String(date.day).padStart(2)} ${clockText(date)} ${yearText(date)}`,
  d: (date) => two(date.day),
  H: (date) => two(date.hour),
  I: (date) => two(date.hour % 12 || 12),
  j: (date) => String(date.dayOfYear + 1).padStart(3, '0'),
  m: (date) => two(date.month + 1),
  M: (date) => two(date.minute),
  p: (date) => (date.hour < 12 ? 'AM' : 'PM'),
  S: (date) => two(date.second),
  U: (date) => weekOfYear(date, 0),
  w: (date) => String(date.weekday),
  W: (date) => weekOfYear(date, 1),
  x: dateText,
  X: clockText,
  y: (date) => yearText(date).slice(2),
  Y: yearText,
  Z: () => 'UTC',
  '%': () => '%',
};
