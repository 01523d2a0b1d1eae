import { closeSync, constants, fchownSync, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { CoPilotError } from '../../protocol/errors.ts';

/** A file that takes one of a job's output streams, kept open so that its size is that of what the job writes to. */
export interface OutputFile {
  readonly descriptor: number;
  sizeMiB(): number;
  /** Cuts the file at `mebibytes` where it is longer, and closes it. */
  finish(mebibytes: number): void;
}

const bytesPerMiB = 1_048_576;
const flags =
  constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens (or empties) `path` for a job's output. Throws `LAUNCH_REFUSED` where it is a link or no plain file. */
export function openOutputFile(path: string, uid: number | undefined): OutputFile {
  let descriptor: number;
  try {
    descriptor = openSync(path, flags, 0o600);
  } catch (cause) {
    throw new CoPilotError('LAUNCH_REFUSED', `cannot open the output file ${path}`, { cause });
  }
  const stat = fstatSync(descriptor);
  if (!stat.isFile() || stat.nlink !== 1) {
    closeSync(descriptor);
    throw new CoPilotError('LAUNCH_REFUSED', `the output file ${path} is no plain file of its own`);
  }
  ftruncateSync(descriptor);
  if (uid !== undefined) fchownSync(descriptor, uid, uid);
  const size = (): number => fstatSync(descriptor).size;
  return {
    descriptor,
    sizeMiB: () => size() / bytesPerMiB,
    finish(mebibytes) {
      const bytes = Math.floor(mebibytes * bytesPerMiB);
      if (size() > bytes) ftruncateSync(descriptor, bytes);
      closeSync(descriptor);
    },
  };
}
