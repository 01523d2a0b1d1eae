import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { ContextPlace } from './context-place.ts';
import { FLOPPY, hostText } from './floppy.ts';
import { initDataFields } from './init-data.ts';
import { type Fields, keyValues } from './key-values.ts';
import { CONTEXT_KEYS, type VmContext, vmContext } from './vm-context.ts';

const MAX_FILE_BYTES = 256 * 1024;
/** What a machine without the thing answers when it is opened or read; a floppy drive without a disk gives the last two. */
const NOTHING_THERE = new Set(['ENOENT', 'ENOTDIR', 'ENXIO', 'EIO']);

/**
 * The context of the first place that holds anything; what stood in `environment` is taken out of it. Throws `INVALID_CONTEXT` where that
 * place holds no account, or no place holds anything.
 */
export async function readContext(
  places: readonly ContextPlace[],
  environment: NodeJS.ProcessEnv,
): Promise<VmContext> {
  for (const place of places) {
    const fields =
      place.kind === 'environment' ? fieldsOf(takeContext(environment)) : await readFields(place);
    if (fields !== undefined) return vmContext(fields, nameOf(place));
  }
  throw new CoPilotError('INVALID_CONTEXT', `there is nothing in ${places.map(nameOf).join(', ')}`);
}

function nameOf(place: ContextPlace): string {
  return place.kind === 'environment' ? 'the environment' : place.path;
}

/** What the environment tells, which is taken out of it: programs that this one starts must not inherit it. */
export function takeContext(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const taken: NodeJS.ProcessEnv = {};
  for (const key of Object.values(CONTEXT_KEYS)) {
    if (environment[key] !== undefined) taken[key] = environment[key];
    Reflect.deleteProperty(environment, key);
  }
  return taken;
}

function fieldsOf(variables: NodeJS.ProcessEnv): Fields | undefined {
  const fields = Object.entries(variables).map(([key, value = '']) => [key, value.trim()] as const);
  return variables[CONTEXT_KEYS.authenticator] === undefined ? undefined : new Map(fields);
}

type FilePlace = Exclude<ContextPlace, { kind: 'environment' }>;

async function readFields(place: FilePlace): Promise<Fields | undefined> {
  try {
    const { text, isWhole } =
      place.kind === 'floppy'
        ? hostText(await readStart(place.path, FLOPPY.bytes))
        : { text: (await readWhole(place.path)).toString('utf8'), isWhole: true };
    if (text.trim() === '') return undefined;
    const isXml = place.kind === 'init-data' || (place.kind === 'floppy' && text.trimStart().startsWith('<'));
    return isXml ? initDataFields(text) : keyValues(text, isWhole);
  } catch (caught) {
    if (caught instanceof CoPilotError)
      throw new CoPilotError('INVALID_CONTEXT', `${place.path}: ${caught.message}`);
    const code = caught instanceof Error && 'code' in caught ? String(caught.code) : '';
    if (NOTHING_THERE.has(code)) return undefined;
    throw new CoPilotError('INVALID_CONTEXT', `${place.path}: ${toCoPilotError(caught).message}`);
  }
}

async function readWhole(path: string): Promise<Buffer> {
  const bytes = await readStart(path, MAX_FILE_BYTES + 1);
  if (bytes.length <= MAX_FILE_BYTES) return bytes;
  throw new CoPilotError('INVALID_CONTEXT', `it is longer than ${MAX_FILE_BYTES} bytes`);
}

/** A named pipe would keep us waiting for ever: it is opened without, and refused. */
async function readStart(path: string, most: number): Promise<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() && !stat.isBlockDevice())
      throw new CoPilotError('INVALID_CONTEXT', 'it is neither a file nor a disk');
    return await readUpTo(handle, most);
  } finally {
    await handle.close();
  }
}

async function readUpTo(handle: FileHandle, most: number): Promise<Buffer> {
  const bytes = Buffer.alloc(most);
  let length = 0;
  while (length < most) {
    const { bytesRead } = await handle.read(bytes, length, most - length, length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return bytes.subarray(0, length);
}
