import { CoPilotError } from '../../../protocol/errors.ts';
import { parseJsonObject } from '../../../protocol/parse-json.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';

/**
 * One call of JSON-RPC 1.1 over HTTP, all parameters in one array, as Perl's `JSON::RPC::Legacy` has it. Resolves with `result`. Rejects
 * with `UNREACHABLE` for anything that is no whole answer, and for an error of the service.
 */
export async function callRpc(
  http: FrameworkHttp,
  method: string,
  params: readonly unknown[],
): Promise<unknown> {
  const answer = await http.send({
    method: 'POST',
    path: '/',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ version: '1.1', method, params }),
  });
  const value = parseJsonObject(answer.body.toString('utf8'));
  if (value === undefined) throw unusable(method, `status ${answer.status} and no JSON object`);
  const error = 'error' in value ? value.error : undefined;
  if (error !== undefined && error !== null) throw unusable(method, messageIn(error));
  if (answer.status !== 200 || !('result' in value)) throw unusable(method, `status ${answer.status}`);
  return value.result;
}

function messageIn(error: unknown): string {
  const isObject = typeof error === 'object' && error !== null && 'message' in error;
  return isObject && typeof error.message === 'string'
    ? error.message.slice(0, 200)
    : 'an error without words';
}

function unusable(method: string, why: string): CoPilotError {
  return new CoPilotError('UNREACHABLE', `AliEn answers ${method} with ${why}`);
}
