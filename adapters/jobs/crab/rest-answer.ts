import { CoPilotError } from '../../../protocol/errors.ts';

/** What the server said no to, by its own code (WMCore REST errors, docs/crab.md). */
export class CrabRefusal extends CoPilotError {
  readonly appCode: number;
  readonly status: number;
  constructor(status: number, appCode: number, message: string) {
    super('RESULT_REFUSED', message);
    this.appCode = appCode;
    this.status = status;
  }
}

/** The few application codes that change what we do. */
export const APP = {
  missingParameter: 301,
  invalidParameter: 302,
  missingObject: 303,
  alreadyExists: 305,
  executionError: 403,
} as const;

export interface RestAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

const MAX_INFO = 200;
/** Of the stock client: 400, 401, 404, 405 and 406 are final, everything else may pass. */
const FINAL = new Set([400, 404, 405, 406]);

/**
 * Rows of a call's answer: lists become dictionaries by `desc.columns`, everything else is as it came. Throws `CrabRefusal` where the
 * server will say the same again, `UNREACHABLE` for anything that may pass, a page of HTML with status 200 among it.
 */
export function rowsOf({ status, headers, body }: RestAnswer): readonly unknown[] {
  if (status !== 200) throw refusal(status, headers);
  const answer = parsed(body);
  if (!isObject(answer) || !Array.isArray(answer['result']))
    throw unusable('the CRAB server answers something else');
  const rows: readonly unknown[] = answer['result'];
  const { desc } = answer;
  if (desc === undefined) return rows;
  const columns: unknown = isObject(desc) ? desc['columns'] : undefined;
  if (!isTexts(columns)) throw unusable('the CRAB server describes its columns in another way');
  return rows.map((row) => byColumn(columns, row));
}

function byColumn(columns: readonly string[], row: unknown): Readonly<Record<string, unknown>> {
  if (!Array.isArray(row) || row.length !== columns.length)
    throw unusable('the CRAB server answers a row of another length than its columns');
  const values: readonly unknown[] = row;
  return Object.fromEntries(columns.map((column, at) => [column, values[at]]));
}

function parsed(body: Uint8Array): unknown {
  try {
    const answer: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    return answer;
  } catch {
    throw unusable('the CRAB server answers no JSON: a proxy may stand before it, or the answer was cut');
  }
}

function refusal(status: number, headers: RestAnswer['headers']): CoPilotError {
  const appCode = Number(one(headers['x-rest-status']));
  const info = one(headers['x-error-info'])
    .replaceAll(/[^ -~]/g, ' ')
    .slice(0, MAX_INFO);
  const said = `the CRAB server answers ${status}${info === '' ? '' : `: ${info}`}`;
  return FINAL.has(status) && Number.isInteger(appCode) && appCode > 0
    ? new CrabRefusal(status, appCode, said)
    : unusable(said);
}

function unusable(message: string): CoPilotError {
  return new CoPilotError('UNREACHABLE', message);
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function one(value: string | readonly string[] | undefined): string {
  return typeof value === 'string' ? value : (value?.[0] ?? '');
}
