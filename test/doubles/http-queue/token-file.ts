import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Where the programs of this double find the queue's token. */
export function tokenFileIn(directory: string): string {
  return join(directory, 'token');
}

export async function writeToken(directory: string, token: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = tokenFileIn(directory);
  await writeFile(path, token, { mode: 0o600 });
  return path;
}

/** Asks the queue as its user does. */
export async function askAsUser(
  url: string,
  directory: string,
  path: string,
  body?: object,
): Promise<unknown> {
  const token = await readFile(tokenFileIn(directory), 'utf8');
  const response = await fetch(`${url}${path}`, {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`the queue answered ${response.status}`);
  return response.json();
}
