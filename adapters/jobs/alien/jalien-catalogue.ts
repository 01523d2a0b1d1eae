import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { AlienJob } from './central.ts';
import { type Catalogue, isLfn, type OutputFile, type StoredOutput } from './catalogue.ts';
import type { FileTransfer } from './file-transfer.ts';
import type { JalienRow } from './jalien-reply.ts';
import type { JalienSession } from './jalien-session.ts';
import { md5Of } from './piece.ts';

/** A copy of a file, or a place for one, with the envelope that opens it. */
interface Place {
  readonly url: string;
  readonly se: string;
  readonly guid: string;
  readonly size: string;
  readonly md5: string;
  readonly envelope: string;
}

/** The catalogue and the storages of JAliEn: a place by `access`, the bytes to the storage named, registered by `commit`. */
export function createJalienCatalogue(session: JalienSession, transfer: FileTransfer): Catalogue {
  return {
    async fetch(lfn, path) {
      requireLfn(lfn);
      const copies = (await session.command('access', ['read', lfn])).map(placeIn);
      await fetchOne(transfer, copies, lfn, path);
    },
    store: (file, job) => store(session, transfer, file, job),
    stop: () => session.stop(),
  };
}

/** From the first storage that gives what the catalogue says it has. */
async function fetchOne(
  transfer: FileTransfer,
  copies: readonly Place[],
  lfn: string,
  path: string,
): Promise<void> {
  let last = new CoPilotError('UNREACHABLE', `no storage has ${lfn}`);
  for (const { url, envelope, size, md5 } of copies) {
    try {
      await transfer.get(url, envelope, path);
      if (await isSame(path, size, md5)) return;
      last = new CoPilotError('UNREACHABLE', `a storage has another ${lfn} than the catalogue`);
    } catch (caught) {
      const error = toCoPilotError(caught);
      // One storage has lost it; that is not the catalogue's word.
      last = error.code === 'NOT_FOUND' ? new CoPilotError('UNREACHABLE', error.message) : error;
    }
  }
  throw last;
}

async function store(
  session: JalienSession,
  transfer: FileTransfer,
  file: OutputFile,
  job: AlienJob,
): Promise<StoredOutput> {
  requireLfn(file.lfn);
  const there = await copiesOf(session, file);
  if (there.length > 0)
    return { pfns: there.map(({ url }) => url), guid: there[0]?.guid ?? '', wanted: there.length };
  const asked = [
    '-s',
    String(file.content.size),
    '-m',
    file.md5,
    '-j',
    job.id,
    'write',
    file.lfn,
    file.storage,
  ];
  const places = (await session.command('access', asked)).map(placeIn);
  const wrong = places.find((place) => place.md5 !== file.md5 || place.size !== String(file.content.size));
  if (places.length === 0 || wrong !== undefined)
    throw new CoPilotError('UNREACHABLE', 'JAliEn gives places for another file');
  const done: Place[] = [];
  let last: CoPilotError | undefined;
  for (const place of places) {
    try {
      await transfer.put(file.content, place.url, place.envelope);
      await commit(session, file, place);
      done.push(place);
    } catch (caught) {
      last = toCoPilotError(caught);
    }
  }
  if (done.length === 0) throw last ?? new CoPilotError('UNREACHABLE', 'no storage took the file');
  return { pfns: done.map(({ url }) => url), guid: done[0]?.guid ?? '', wanted: places.length };
}

/** Where the very file is already: a repeated call, or an answer that was lost. Another file of that name is a `CONFLICT`. */
async function copiesOf(session: JalienSession, file: OutputFile): Promise<readonly Place[]> {
  try {
    const copies = (await session.command('access', ['read', file.lfn])).map(placeIn);
    const other = copies.find(({ size, md5 }) => size !== String(file.content.size) || md5 !== file.md5);
    if (other === undefined) return copies;
    throw new CoPilotError('CONFLICT', `${file.lfn} is there already`);
  } catch (caught) {
    const error = toCoPilotError(caught);
    if (error.code === 'NOT_FOUND') return [];
    throw error;
  }
}

async function commit(session: JalienSession, file: OutputFile, place: Place): Promise<void> {
  const parts = [
    place.envelope,
    String(file.content.size),
    file.lfn,
    '644',
    '0',
    place.url,
    place.se,
    place.guid,
    file.md5,
  ];
  const [row] = await session.command('commit', parts);
  if (row?.get('path') === file.lfn && row.get('lfn') === '1') return;
  throw new CoPilotError('UNREACHABLE', `JAliEn does not say that ${file.lfn} was registered`);
}

function placeIn(row: JalienRow): Place {
  const [url, se, guid, size, md5, envelope] = ['url', 'se', 'guid', 'size', 'md5', 'envelope'].map(
    (key) => row.get(key) ?? '',
  );
  if (!url || !envelope) throw new CoPilotError('UNREACHABLE', 'JAliEn gives a place without an envelope');
  return { url, se: se ?? '', guid: guid ?? '', size: size ?? '', md5: (md5 ?? '').toLowerCase(), envelope };
}

async function isSame(path: string, size: string, md5: string): Promise<boolean> {
  if (String((await stat(path)).size) !== size) return false;
  return md5 === '' || (await md5Of({ chunks: () => createReadStream(path) })) === md5;
}

function requireLfn(lfn: string): void {
  if (!isLfn(lfn))
    throw new CoPilotError('NAME_REFUSED', `${JSON.stringify(lfn.slice(0, 80))} is no name of the catalogue`);
}
