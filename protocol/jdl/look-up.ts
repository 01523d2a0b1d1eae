import type { Jdl, JdlValue } from './value.ts';

/** The value of a name in any case; of two names that differ in case alone, the first. */
export function jdlValue(jdl: Jdl, name: string): JdlValue | undefined {
  const wanted = name.toLowerCase();
  return jdl.find((attribute) => attribute.name.toLowerCase() === wanted)?.value;
}

/** A value as one text: of a list its first item, of a number its digits. */
export function jdlText(jdl: Jdl, name: string): string | undefined {
  const value = jdlValue(jdl, name);
  switch (value?.kind) {
    case 'list':
      return value.items[0] ?? '';
    case 'integer':
    case 'real':
      return String(value.value);
    case 'text':
    case 'expression':
      return value.text;
    case undefined:
      return undefined;
  }
}

/** A value as a list: one text is a list of one; nothing for numbers and empty lists. */
export function jdlList(jdl: Jdl, name: string): readonly string[] {
  const value = jdlValue(jdl, name);
  if (value?.kind === 'list') return value.items;
  return value?.kind === 'text' || value?.kind === 'expression' ? [value.text] : [];
}

/** A file of the catalogue that an attribute names. */
export interface NamedFile {
  readonly lfn: string;
  /** Named for splitting and placing alone; the job reads it where it is, or not at all. */
  readonly isDownloaded: boolean;
}

const noDownload = ',nodownload';

/** The files a list names, without `LF:` and `,nodownload`. */
export function jdlFiles(jdl: Jdl, name: string): readonly NamedFile[] {
  return jdlList(jdl, name).flatMap((item) => {
    const at = item.indexOf(noDownload);
    const lfn = (at < 0 ? item : item.slice(0, at)).replace(/^LF:/, '');
    return lfn === '' ? [] : [{ lfn, isDownloaded: at < 0 }];
  });
}

/** The whole number an attribute says in any of its forms: `2`, `"2"`, `{"2"}`, `2.0`. */
export function jdlInteger(jdl: Jdl, name: string): number | undefined {
  const value = jdlValue(jdl, name);
  if (value?.kind === 'real') return safe(Math.trunc(value.value));
  const text = jdlText(jdl, name)?.trim() ?? '';
  return /^[+-]?[0-9]{1,18}$/.test(text) ? safe(Number(text)) : undefined;
}

function safe(value: number): number | undefined {
  return Number.isSafeInteger(value) ? value : undefined;
}
