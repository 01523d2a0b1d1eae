import { parseJsonObject } from '../parse-json.ts';

const LEVEL_WIDTH = 5;
/** What can stand in a line without quotes and still be told from what is around it. */
const PLAIN = /^[\w.:/@+-]+$/;

/**
 * A line of the log as people read it: moment, level, component, message, then each field as `name=value`. Values that could be taken for
 * anything else are in quotes, so that a text of others forges no field and no line.
 */
export function logText(line: string): string {
  const fields = parseJsonObject(line);
  if (fields === undefined) return line.trimEnd();
  const { time, level, component, msg, ...others }: Readonly<Record<string, unknown>> = { ...fields };
  const moment = typeof time === 'number' ? new Date(time).toISOString() : '-';
  const head = `${moment} ${wordOf(level).toUpperCase().padEnd(LEVEL_WIDTH)} ${wordOf(component)}: ${wordOf(msg)}`;
  return [head, ...Object.entries(others).map(([name, value]) => `${name}=${valueOf(value)}`)].join(' ');
}

/** Of our own words. */
function wordOf(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll(/[\r\n]/g, ' ') : '';
}

function valueOf(value: unknown): string {
  return typeof value === 'string' && PLAIN.test(value) ? value : JSON.stringify(value);
}
