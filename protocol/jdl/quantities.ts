import { jdlInteger, jdlText } from './look-up.ts';
import type { Jdl } from './value.ts';

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** Seconds, as people write them: `7200`, `"7200"`, `"18 hours"`, `"2h"`. Undefined where it says none. */
export function jdlSeconds(jdl: Jdl, name: string): number | undefined {
  const plain = jdlInteger(jdl, name);
  if (plain !== undefined) return plain;
  const [, number = '', unit = ''] =
    /^([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*([a-z]+)$/i.exec(textOf(jdl, name)) ?? [];
  const scale = /^(?:s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?)$/i.test(
    unit,
  )
    ? SECONDS[unit.charAt(0).toLowerCase()]
    : undefined;
  return scale === undefined ? undefined : Math.round(Number(number) * scale);
}

/** Megabytes: a number without a unit is megabytes already; `"8GB"`, `{"10000MB"}`. Undefined where it says none. */
export function jdlMegabytes(jdl: Jdl, name: string): number | undefined {
  const plain = jdlInteger(jdl, name);
  if (plain !== undefined) return plain;
  const [, number = '', unit = ''] =
    /^([0-9]{1,12}(?:\.[0-9]{1,3})?)\s*([KMGT])i?B?$/i.exec(textOf(jdl, name)) ?? [];
  if (unit === '') return undefined;
  const scale = 1024 ** ('KMGT'.indexOf(unit.toUpperCase()) - 1);
  return Math.ceil(Number(number) * scale);
}

function textOf(jdl: Jdl, name: string): string {
  return jdlText(jdl, name)?.trim() ?? '';
}
