import { chmod, copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryDirectory } from '../../doubles/temporary-directory.ts';

const STAND_IN = new URL('../../doubles/pilot/pilot.py', import.meta.url).pathname;

/** A folder of the stand-in for a pilot that any user may read: the checkout may lie where only its owner may look. */
export async function pilotFolder(): Promise<string> {
  const folder = await temporaryDirectory('pilot-folder');
  await chmod(folder, 0o755);
  await copyFile(STAND_IN, join(folder, 'pilot.py'));
  return folder;
}
