import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { buildCampaign } from './build.ts';
import { type Campaign, MAX_FILE_BYTES } from './campaign.ts';
import { expansionFaults } from './expand.ts';
import { inputPaths } from './input-paths.ts';
import { inFileOrder, invalidCampaign, type Problem } from './problem.ts';
import { schemaProblems } from './schema-problems.ts';
import { parseSource, type Source } from './source.ts';

export type CampaignCheck =
  | { readonly kind: 'campaign'; readonly campaign: Campaign }
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] };

/** Reads a campaign file and its inputs. Rejects with `INVALID_CAMPAIGN`, whose message is a line for each problem. */
export async function loadCampaign(path: string): Promise<Campaign> {
  const checked = await checkCampaign(path);
  if (checked.kind === 'problems') throw invalidCampaign(path, checked.problems);
  return checked.campaign;
}

/** As `loadCampaign`, with the problems as data; never rejects for what is wrong with the file. */
export async function checkCampaign(path: string): Promise<CampaignCheck> {
  const text = await readText(path);
  if (typeof text !== 'string') return { kind: 'problems', problems: [text] };
  const parsed = parseSource(text);
  if (parsed.kind === 'problems') return { kind: 'problems', problems: inFileOrder(parsed.problems) };
  return checkSource(resolve(path), parsed.source);
}

/** The input files a campaign names, as written; none of them is looked at. Rejects with `INVALID_CAMPAIGN` where it is no YAML. */
export async function namedInputs(path: string): Promise<readonly string[]> {
  const text = await readText(path);
  if (typeof text !== 'string') throw invalidCampaign(path, [text]);
  const parsed = parseSource(text);
  if (parsed.kind === 'problems') throw invalidCampaign(path, parsed.problems);
  return inputPaths(parsed.source.data);
}

async function checkSource(file: string, source: Source): Promise<CampaignCheck> {
  const shape = schemaProblems(source);
  const broken = new Set(shape.map(({ field }) => topKey(field)));
  // What is wrong inside the fields that are in shape is told in the same breath.
  const { campaign, problems } = await buildCampaign(file, source, broken);
  const found = [...shape, ...problems];
  if (found.length > 0) return { kind: 'problems', problems: inFileOrder(found) };
  const faults = expansionFaults(campaign).map(({ path, message }) => source.at(path, message));
  return faults.length > 0
    ? { kind: 'problems', problems: inFileOrder(faults) }
    : { kind: 'campaign', campaign };
}

function topKey(field: string): string {
  return field.split(/[.[]/)[0] ?? '';
}

async function readText(path: string): Promise<string | Problem> {
  try {
    await using file = await open(path);
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    if (bytesRead > MAX_FILE_BYTES) return unreadable(`is over ${MAX_FILE_BYTES} bytes`);
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer.subarray(0, bytesRead));
  } catch (caught) {
    if (caught instanceof TypeError) return unreadable('is not UTF-8 text');
    const code = caught instanceof Error && 'code' in caught ? String(caught.code) : '';
    return unreadable(code === 'ENOENT' ? 'is not there' : `cannot be read (${code})`);
  }
}

function unreadable(message: string): Problem {
  return { line: 1, column: 1, field: '', message: `the file ${message}` };
}
