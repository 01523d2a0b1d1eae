import { CoPilotError, toCoPilotError } from '../../../protocol/errors.ts';
import type { AlienJob } from './central.ts';
import { type ArchiveMember, type Catalogue, isFinalRefusal, isLfn } from './catalogue.ts';
import type { PlannedOutput } from './output-plan.ts';
import { md5Of, type Piece } from './piece.ts';
import type { TarMember } from './tar-reader.ts';
import { zipOf } from './zip-writer.ts';

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
  /** What the job left. */
  readonly members: readonly TarMember[];
}

/**
 * Stores what a job left, one entry of its description after the other. A file without bytes is passed over, as AliEn does; a pattern
 * without a file, or an archive without members, is a fault. Rejects where storing may work later.
 */
export async function storeOutputs(wanted: StoreOutputs): Promise<OutputsStored> {
  const pfns: string[] = [];
  let isShort = false;
  let fault: string | undefined;
  for (const output of wanted.outputs) {
    try {
      const done =
        output.a === undefined
          ? await storeFiles(wanted, output)
          : await storeArchive(wanted, output, output.a);
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

async function storeFiles(wanted: StoreOutputs, output: PlannedOutput): Promise<Stored> {
  const files = output.p.flatMap((pattern) => requireSome(matching(wanted.members, [pattern]), pattern));
  const pfns: string[] = [];
  let isShort = false;
  for (const { name, content } of files) {
    if (content.size === 0) continue;
    const done = await store(wanted, { name, content, storage: output.s, members: [] });
    pfns.push(...done.pfns);
    isShort ||= done.isShort;
  }
  return { pfns, isShort };
}

async function storeArchive(wanted: StoreOutputs, output: PlannedOutput, name: string): Promise<Stored> {
  const zip = await zipOf(requireSome(matching(wanted.members, output.p), name));
  const links = zip.members
    .filter(({ size }) => output.n !== true && size > 0)
    .map((member): ArchiveMember => ({ ...member, lfn: lfnOf(wanted.directory, member.name) }));
  return store(wanted, { name, content: zip.archive, storage: output.s, members: links });
}

interface OneFile {
  readonly name: string;
  readonly content: Piece;
  readonly storage: string;
  readonly members: readonly ArchiveMember[];
}

async function store(wanted: StoreOutputs, { name, content, storage, members }: OneFile): Promise<Stored> {
  const lfn = lfnOf(wanted.directory, name);
  const file = { content, lfn, md5: await md5Of(content), storage, members };
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
