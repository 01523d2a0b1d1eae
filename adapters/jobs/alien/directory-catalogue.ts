import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { copyFile, link, mkdir, realpath, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { CoPilotError } from '../../../protocol/errors.ts';
import { type Catalogue, isLfn, type OutputFile, type StoredOutput } from './catalogue.ts';
import { md5Of } from './piece.ts';

/**
 * A catalogue that is a directory: a mount of it, or a mirror that a site fills. Members of an archive are written down beside it, in
 * `ARCHIVE.members`, as the classic job agent writes them: `lfn###size###md5###0`, a line each.
 */
export function createDirectoryCatalogue(root: string): Catalogue {
  let found: string | undefined;
  /** Where the root is, looked up once. */
  const base = async (): Promise<string> => (found ??= await realpath(root));
  return {
    async fetch(lfn, path) {
      await copyFile(inside(await base(), lfn), path).catch((caught: unknown) => {
        if (isMissing(caught)) throw new CoPilotError('NOT_FOUND', `the catalogue has no ${lfn}`);
        throw new CoPilotError('UNREACHABLE', `${lfn} cannot be read`, { cause: caught });
      });
    },
    store: async (file) => store(await base(), file),
    stop: () => Promise.resolve(),
  };
}

async function store(base: string, file: OutputFile): Promise<StoredOutput> {
  const target = inside(base, file.lfn);
  await mkdir(dirname(target), { recursive: true });
  const place = await realpath(dirname(target));
  if (place !== base && !place.startsWith(`${base}${sep}`))
    throw new CoPilotError('NAME_REFUSED', `${file.lfn} leads out of the catalogue`);
  const part = join(dirname(target), `.${randomUUID()}.part`);
  try {
    await writeFile(part, file.content.chunks(), { flag: 'wx' });
    // A link never replaces what is there, as a rename would.
    await link(part, target).catch(async (caught: unknown) => {
      if (!(await isSame(target, file)))
        throw new CoPilotError('CONFLICT', `${file.lfn} is there already`, { cause: caught });
    });
  } finally {
    await unlink(part).catch(() => undefined); // where it was never written
  }
  if (file.members.length > 0) {
    const lines = file.members.map(({ lfn, size, md5 }) => `${lfn}###${size}###${md5}###0\n`);
    await writeFile(`${target}.members`, lines.join(''));
  }
  return { pfns: [`file://${target}`], guid: '', wanted: 1 };
}

function inside(base: string, lfn: string): string {
  if (!isLfn(lfn))
    throw new CoPilotError('NAME_REFUSED', `${JSON.stringify(lfn.slice(0, 80))} is no name of the catalogue`);
  return join(base, lfn);
}

async function isSame(path: string, file: OutputFile): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isFile() !== true || found.size !== file.content.size) return false;
  return (await md5Of({ chunks: () => createReadStream(path) })) === file.md5;
}

function isMissing(caught: unknown): boolean {
  return (
    caught instanceof Error && 'code' in caught && (caught.code === 'ENOENT' || caught.code === 'ENOTDIR')
  );
}
