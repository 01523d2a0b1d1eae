import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export interface Arguments {
  readonly url: string;
  readonly directory: string;
  readonly jobs: number;
}

/** What `submit.ts` and `state.ts` are told: `--url URL --directory DIR [--jobs N]`. */
export function readArguments(): Arguments {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: '' },
      directory: { type: 'string', default: '.' },
      jobs: { type: 'string', default: '1' },
    },
  });
  return { url: values.url, directory: values.directory, jobs: Number(values.jobs) };
}

/** Where the programs of the double leave a token for each other and for an adapter. */
export function tokenFile(directory: string): string {
  return join(directory, 'panda.token');
}

export const ORIGIN = 'atlas.production';

/** One call of API v1 with that token; answers the data. */
export async function callPanda(
  { url, directory }: Arguments,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<unknown> {
  const token = await readFile(tokenFile(directory), 'utf8');
  const answer = await fetch(`${url}/api/v1/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token.trim()}`,
      origin: ORIGIN,
      accept: 'application/json',
      'content-type': 'application/json',
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const said = JSON.parse(await answer.text()) as { success: boolean; message: string; data: unknown };
  if (!said.success) throw new Error(`PanDA says: ${said.message}`);
  return said.data;
}
