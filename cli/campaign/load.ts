import { resolve } from 'node:path';
import { buildCampaign } from './build.ts';
import { type Campaign, MAX_FILE_BYTES } from './campaign.ts';
import { expansionFaults } from './expand.ts';
import { inputPaths } from './input-paths.ts';
import { readBoundedText } from './bounded-text.ts';
import { inFileOrder, invalidCampaign, type Problem } from './problem.ts';
import { createSchemaCheck } from './schema-problems.ts';
import { parseSource, type Source } from './source.ts';
import schema from './campaign.schema.json' with { type: 'json' };

const schemaProblems = createSchemaCheck(schema);

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
  const text = await readBoundedText(path, MAX_FILE_BYTES);
  if (typeof text !== 'string') return { kind: 'problems', problems: [text] };
  const parsed = parseSource(text, 'name and command are needed');
  if (parsed.kind === 'problems') return { kind: 'problems', problems: inFileOrder(parsed.problems) };
  return checkSource(resolve(path), parsed.source);
}

/** The input files a campaign names, as written; none of them is looked at. Rejects with `INVALID_CAMPAIGN` where it is no YAML. */
export async function namedInputs(path: string): Promise<readonly string[]> {
  const text = await readBoundedText(path, MAX_FILE_BYTES);
  if (typeof text !== 'string') throw invalidCampaign(path, [text]);
  const parsed = parseSource(text, 'name and command are needed');
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
