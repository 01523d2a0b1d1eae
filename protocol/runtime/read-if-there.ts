import { readFile } from 'node:fs/promises';
import { unlessMissing } from './unless-missing.ts';

/** The text of a file; undefined where there is none. Rejects where there is one that cannot be read. */
export async function readIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(unlessMissing);
}
