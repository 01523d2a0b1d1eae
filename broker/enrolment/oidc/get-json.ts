import { textOf } from '../../../protocol/encoding.ts';
import { readBounded } from '../../../protocol/runtime/bounded-body.ts';

/** Fetches JSON, unvalidated. Rejects for whatever goes wrong; nobody is blamed. */
export type GetJson = (url: string) => Promise<unknown>;

const ANSWER_WITHIN_MS = 5_000;
const MAX_BYTES = 256 * 1024;

/** Follows no redirect: where keys come from is what the operator wrote. */
export const getJson: GetJson = async (url) => {
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
  const response = await fetch(url, { headers: { accept: 'application/json' }, redirect: 'error', signal });
  const bytes = await readBounded(response, MAX_BYTES);
  if (bytes === undefined) throw new Error(`it answered more than ${MAX_BYTES} bytes`);
  if (!response.ok) throw new Error(`it answered ${response.status}`);
  const value: unknown = JSON.parse(textOf(bytes));
  return value;
};
