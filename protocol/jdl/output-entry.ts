import { jdlError, shown } from './syntax-error.ts';

/** Where copies of a file are wanted. */
export interface OutputOptions {
  /** How many copies of which quality, such as disk 2. */
  readonly copies: Readonly<Record<string, number>>;
  /** Storages by name, such as `ALICE::NIHAM::FILE`; one with `!` before it is not to be used. */
  readonly storages: readonly string[];
  readonly isArchived: boolean;
  readonly hasLinks: boolean;
}

/** One entry of `Output`, `OutputFile`, `OutputArchive` or `OutputErrorE`. */
export type OutputEntry =
  | { readonly kind: 'files'; readonly patterns: readonly string[]; readonly options: OutputOptions }
  | {
      readonly kind: 'archive';
      readonly name: string;
      readonly patterns: readonly string[];
      readonly options: OutputOptions;
    };

/** What is stored where a description names no output (JAliEn): `<id>` is the job's. */
export function defaultOutput(id: string): OutputEntry {
  return parseOutputEntry(`jalien_defarchNOSPEC.${id}:stdout,stderr,resources`);
}

/**
 * `name{,pattern}[@options]` or `archive:pattern{,pattern}[@options]`. Throws `JDL_SYNTAX`; whether a pattern is a name that may be
 * used is for whoever uses it.
 */
export function parseOutputEntry(entry: string): OutputEntry {
  const at = entry.indexOf('@');
  const what = at < 0 ? entry : entry.slice(0, at);
  const options = optionsIn(at < 0 ? '' : entry.slice(at + 1), entry);
  const colon = what.indexOf(':');
  const patterns = words(colon < 0 ? what : what.slice(colon + 1));
  if (patterns.length === 0) throw jdlError(`the output ${shown(entry)} names no file`);
  if (colon < 0) return { kind: 'files', patterns, options };
  const name = what.slice(0, colon).trim();
  if (name === '') throw jdlError(`the output ${shown(entry)} names no archive`);
  return { kind: 'archive', name, patterns, options };
}

function optionsIn(text: string, entry: string): OutputOptions {
  const copies: Record<string, number> = {};
  const storages: string[] = [];
  let isArchived = true;
  let hasLinks = true;
  for (const word of words(text)) {
    const [, quality, count] = /^([a-z]{1,16})[=:]([0-9]{1,2})$/i.exec(word) ?? [];
    if (quality !== undefined) copies[quality.toLowerCase()] = Number(count);
    else if (word === 'no_archive') isArchived = false;
    else if (word === 'no_links_registration') hasLinks = false;
    else if (/^!?\w{1,64}::[\w-]{1,64}::[\w-]{1,64}$/.test(word)) storages.push(word);
    else throw jdlError(`the output ${shown(entry)} has an option ${shown(word)}`);
  }
  return { copies, storages, isArchived, hasLinks };
}

/** As `access` takes it: storages, then counts; two copies on disk where nothing is said. */
export function storageSpec({ copies, storages }: OutputOptions): string {
  const counts = Object.entries(copies).map(([quality, count]) => `${quality}:${count}`);
  const all = [...storages, ...counts];
  return all.length === 0 ? 'disk:2' : all.join(',');
}

function words(text: string): readonly string[] {
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '');
}
