import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A new directory of the test's own; remove it with `removeDirectory`. */
export async function temporaryDirectory(name: string): Promise<string> {
  return mkdtemp(join(await realpath(tmpdir()), `co-pilot-${name}-`));
}

export async function removeDirectory(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
