import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJsonObject } from '../../../protocol/parse-json.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';

/** An answer of the side process: its fields, as yet unlooked at. */
export type SideAnswer = ReadonlyMap<string, unknown>;

/** One operation of the side process (`side/side.schema.json`). Rejects with `UNREACHABLE` for anything but 200 with a JSON object. */
export async function callSide(http: FrameworkHttp, operation: string, body: object): Promise<SideAnswer> {
  const answer = await http.send({
    method: 'POST',
    path: `/v1/${operation}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const value = answer.status === 200 ? parseJsonObject(answer.body.toString('utf8')) : undefined;
  if (value === undefined) throw sideFault(operation);
  return fieldsOf(value);
}

export function fieldsOf(value: object): SideAnswer {
  return new Map<string, unknown>(Object.entries(value));
}

export function textIn(fields: SideAnswer, name: string, operation: string): string {
  const value = fields.get(name);
  if (typeof value === 'string') return value;
  throw sideFault(operation);
}

/** Objects in a list; anything else in it makes the answer none. */
export function objectsIn(fields: SideAnswer, name: string, operation: string): readonly SideAnswer[] {
  const value = fields.get(name);
  if (!Array.isArray(value)) throw sideFault(operation);
  return value.map((item: unknown) => {
    if (typeof item !== 'object' || item === null) throw sideFault(operation);
    return fieldsOf(item);
  });
}

export function sideFault(operation: string): CoPilotError {
  return new CoPilotError('UNREACHABLE', `the side process answers ${operation} with something else`);
}
