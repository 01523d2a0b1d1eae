import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createReadStream } from 'node:fs';
import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { AlienJob } from './central.ts';
import { type ArchiveMember, type Catalogue, isFinalRefusal, isLfn } from './catalogue.ts';
import type { PlannedOutput } from './output-plan.ts';
import type { TarMember } from './tar-reader.ts';
import { bytesOf, writeZip } from './zip-writer.ts';

export interface Collected {
  /** The tar that the job made, on this host, and the files in it. */
  readonly tar: string;
  readonly members: readonly TarMember[];
  /** For archives and copies; the caller's, removed by it. */
  readonly place: string;
}

export interface OutputsStored {
  readonly pfns: readonly string[];
  /** Why the outputs are not what was asked for; undefined where they are. */
  readonly fault: string | undefined;
  /** Fewer copies than were asked for. */
  readonly isShort: boolean;
}

export interface StoreOutputs {
  readonly catalogue: Catalogue;
  readonly job: AlienJob;
  readonly directory: string;
  readonly outputs: readonly PlannedOutput[];
  readonly collected: Collected;
}

/**
 * Stores what a job left, one entry of its description after the other. A file without bytes is passed over, as AliEn does; a pattern
 * without a file, or an archive without members, is a fault. Rejects where storing may work later.
 */
export async function storeOutputs(wanted: StoreOutputs): Promise<OutputsStored> {
  const pfns: string[] = [];
  let isShort = false;
  let fault: string | undefined;
  for (const [at, output] of wanted.outputs.entries()) {
    try {
      const done =
        output.a === undefined
          ? await storeFiles(wanted, output, at)
          : await storeArchive(wanted, output, output.a, at);
      pfns.push(...done.pfns);
      isShort ||= done.isShort;
    } catch (caught) {
      const error = toCoPilotError(caught);
      if (!isFinalRefusal(error.code) && error.code !== 'RESULT_REFUSED') throw caught;
      fault ??= error.message;
    }
  }
  return { pfns, fault, isShort };
}

type Stored = Pick<OutputsStored, 'pfns' | 'isShort'>;

async function storeFiles(wanted: StoreOutputs, output: PlannedOutput, at: number): Promise<Stored> {
  const files = output.p.flatMap((pattern) =>
    requireSome(matching(wanted.collected.members, [pattern]), pattern),
  );
  const pfns: string[] = [];
  let isShort = false;
  for (const [number, member] of files.entries()) {
    if (member.size === 0) continue;
    const path = join(wanted.collected.place, `file-${at}-${number}`);
    const source = { path: wanted.collected.tar, offset: member.offset, size: member.size };
    await pipeline(bytesOf(source), createWriteStream(path, { flags: 'wx', mode: 0o600 }));
    const done = await store(wanted, { path, name: member.name, storage: output.s, members: [] });
    pfns.push(...done.pfns);
    isShort ||= done.isShort;
  }
  return { pfns, isShort };
}

async function storeArchive(
  wanted: StoreOutputs,
  output: PlannedOutput,
  name: string,
  at: number,
): Promise<Stored> {
  const members = requireSome(matching(wanted.collected.members, output.p), name);
  const path = join(wanted.collected.place, `archive-${at}`);
  const written = await writeZip(
    path,
    members.map((member) => ({ ...member, path: wanted.collected.tar })),
  );
  const links = written
    .filter(({ size }) => output.n !== true && size > 0)
    .map((member): ArchiveMember => ({ ...member, lfn: lfnOf(wanted.directory, member.name) }));
  return store(wanted, { path, name, storage: output.s, members: links });
}

interface OneFile {
  readonly path: string;
  readonly name: string;
  readonly storage: string;
  readonly members: readonly ArchiveMember[];
}

async function store(wanted: StoreOutputs, { path, name, storage, members }: OneFile): Promise<Stored> {
  const [{ size }, md5] = await Promise.all([stat(path), md5Of(path)]);
  const file = { path, lfn: lfnOf(wanted.directory, name), size, md5, storage, members };
  const done = await wanted.catalogue.store(file, wanted.job);
  if (done.pfns.length === 0) throw new CoPilotError('RESULT_REFUSED', `${name} was stored nowhere`);
  return { pfns: done.pfns, isShort: done.pfns.length < done.wanted };
}

function requireSome(members: readonly TarMember[], what: string): readonly TarMember[] {
  if (members.length > 0) return members;
  throw new CoPilotError('RESULT_REFUSED', `the job left no ${what}`);
}

/** Files that any of the patterns means, each once. */
function matching(members: readonly TarMember[], patterns: readonly string[]): readonly TarMember[] {
  return members.filter(({ name }) => patterns.some((pattern) => matchesPattern(name, pattern)));
}

/** As a shell matches: `*` and `?` mean no slash, and no point at the beginning of a name. In time linear in both. */
export function matchesPattern(name: string, pattern: string): boolean {
  const [names, patterns] = [name.split('/'), pattern.split('/')];
  return names.length === patterns.length && patterns.every((part, at) => matchesPart(names[at] ?? '', part));
}

function matchesPart(name: string, pattern: string): boolean {
  if (name.startsWith('.') && !pattern.startsWith('.')) return false;
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return name.length === first.length && fits(name, first, 0);
  if (name.length < first.length + last.length || !fits(name, first, 0)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (const piece of others) {
    while (at + piece.length <= end && !fits(name, piece, at)) at++;
    if (at + piece.length > end) return false;
    at += piece.length;
  }
  return fits(name, last, end);
}

function fits(name: string, piece: string, at: number): boolean {
  for (let index = 0; index < piece.length; index++)
    if (piece[index] !== '?' && piece[index] !== name[at + index]) return false;
  return true;
}

function lfnOf(directory: string, name: string): string {
  const lfn = `${directory}/${name}`;
  if (isLfn(lfn)) return lfn;
  throw new CoPilotError('NAME_REFUSED', `an output is called ${JSON.stringify(name.slice(0, 80))}`);
}

async function md5Of(path: string): Promise<string> {
  const hash = createHash('md5');
  const bytes: AsyncIterable<Uint8Array> = createReadStream(path);
  for await (const chunk of bytes) hash.update(chunk);
  return hash.digest('hex');
}
