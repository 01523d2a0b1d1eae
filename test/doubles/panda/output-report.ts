import type { PandaSpec } from './job-spec.ts';

const NOTHING = 'Could not get GUID/LFN/MD5/FSIZE/SURL from pilot JSON';

/** What the adder finds wrong with the report of a job that its pilot calls finished; undefined: the outputs are registered. */
export function reportFault(spec: PandaSpec, report: string): string | undefined {
  const files = parse(report);
  if (files === undefined || Object.keys(files).length === 0) return NOTHING;
  for (const file of spec.files) {
    if (file.type === 'input') continue;
    const said = files[file.lfn];
    if (said === undefined) {
      if (file.isOptional) continue;
      return `${file.lfn} is not in the output report`;
    }
    if (typeof said['guid'] !== 'string' || said['guid'] === '') return NOTHING;
    if (file.type === 'output' && !hasSums(said)) return NOTHING;
  }
  return undefined;
}

type Said = Readonly<Record<string, unknown>>;

function hasSums(said: Said): boolean {
  const { fsize, adler32, md5sum } = {
    fsize: said['fsize'],
    adler32: said['adler32'],
    md5sum: said['md5sum'],
  };
  if (typeof fsize !== 'number') return false;
  const isAdler = typeof adler32 === 'string' && /^[0-9a-f]{8}$/u.test(adler32);
  return isAdler || (typeof md5sum === 'string' && /^[0-9a-f]{32}$/u.test(md5sum));
}

function parse(report: string): Readonly<Record<string, Said>> | undefined {
  try {
    const value: unknown = JSON.parse(report);
    return typeof value === 'object' && value !== null ? (value as Record<string, Said>) : undefined;
  } catch {
    return undefined;
  }
}
