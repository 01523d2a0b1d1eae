import { createHash } from 'node:crypto';
import type { Description, Input, Output } from '../../protocol/generated/types.ts';
import { MAX_DESCRIPTION_BYTES } from '../../protocol/messages.ts';
import type { Campaign, CampaignInput, CampaignOutput, InlineFile, JobSpec } from './campaign.ts';
import { collision, fileNameFault } from './file-names.ts';
import { type FieldPath, shown } from './problem.ts';
import { fillTemplate, parseTemplate, type Template } from './template.ts';

/** A fault that only the values of one job bring to light. */
export interface JobFault {
  readonly path: FieldPath;
  readonly message: string;
}

export interface BuiltJob {
  readonly spec: JobSpec;
  readonly faults: readonly JobFault[];
  /** Of the description, as JSON. */
  readonly descriptionBytes: number;
}

/** Makes one job of a campaign from the values of its parameters. */
export type JobBuilder = (values: ReadonlyMap<string, string>) => BuiltJob;

type Values = ReadonlyMap<string, string>;
type Named<T> = { readonly item: T; readonly name: Template; readonly content: Template };

const MAX_TEXT = 4096;
const MAX_LABEL = 256;

/** Reads every template once; throws nothing, for a campaign's templates were found right. */
export function createJobBuilder(campaign: Campaign): JobBuilder {
  const args = campaign.arguments.map(template);
  const environment = campaign.environment.map(({ name, text }) => ({ name, text: template(text) }));
  const inputs = campaign.inputs.map((item) => named(item, item.kind === 'content' ? item.content : ''));
  const outputs = campaign.outputs.map((item) => named(item, ''));

  return (values) => {
    const builtInputs = inputs.map((input) => buildInput(input, values));
    const description: Description = {
      command: campaign.command,
      arguments: args.map((text) => fillTemplate(text, values)),
      environment: Object.fromEntries(
        environment.map(({ name, text }) => [name, fillTemplate(text, values)]),
      ),
      inputs: builtInputs.map(({ input }) => input),
      outputs: outputs.map(({ item, name }) => buildOutput(item, fillTemplate(name, values))),
      limits: campaign.limits,
      requirements: campaign.requirements,
    };
    const { priority, retries } = campaign;
    const contents = builtInputs.flatMap(({ inline }) => inline ?? []);
    const label = labelOf(campaign.name, values);
    const descriptionBytes = Buffer.byteLength(JSON.stringify(description));
    const faults = faultsOf(campaign, description, descriptionBytes);
    return { spec: { label, priority, retries, description, contents }, faults, descriptionBytes };
  };
}

function template(text: string): Template {
  const result = parseTemplate(text);
  return result.kind === 'template' ? result.template : { texts: [text], names: [] };
}

function named<T extends CampaignInput | CampaignOutput>(item: T, content: string): Named<T> {
  return { item, name: template(item.name), content: template(content) };
}

function buildInput(
  { item, name, content }: Named<CampaignInput>,
  values: Values,
): { readonly input: Input; readonly inline?: InlineFile } {
  const executable = item.executable ? { executable: true } : {};
  const filled = fillTemplate(name, values);
  if (item.kind === 'file') {
    return { input: { name: filled, size: item.size, sha256: item.sha256, ...executable } };
  }
  const text = fillTemplate(content, values);
  const sha256 = createHash('sha256').update(text).digest('hex');
  const input = { name: filled, size: Buffer.byteLength(text), sha256, ...executable };
  return { input, inline: { sha256, content: text } };
}

function buildOutput({ optional, maxBytes }: CampaignOutput, name: string): Output {
  return { name, ...(optional && { optional }), ...(maxBytes !== undefined && { maxBytes }) };
}

/** What a person reads in a list of jobs: printable ASCII, bounded. */
function labelOf(campaign: string, values: Values): string {
  const pairs = [...values].map(([name, value]) => `${name}=${value}`).join(',');
  const label = pairs === '' ? campaign : `${campaign}/${pairs}`;
  return label.replace(/[^ -~]/g, '?').slice(0, MAX_LABEL);
}

function faultsOf(campaign: Campaign, description: Description, bytes: number): readonly JobFault[] {
  const faults = [
    ...textFaults(campaign, description),
    ...nameFaults(description),
    ...commandFaults(description),
  ];
  if (bytes <= MAX_DESCRIPTION_BYTES) return faults;
  const message = `one job takes ${bytes} bytes, over ${MAX_DESCRIPTION_BYTES}; move long texts into an input file`;
  return [...faults, { path: [], message }];
}

function* textFaults(campaign: Campaign, description: Description): Generator<JobFault> {
  for (const [at, text] of description.arguments.entries()) {
    const message = textFault(text);
    if (message !== undefined) yield { path: ['arguments', at], message };
  }
  for (const { name } of campaign.environment) {
    const message = textFault(description.environment[name] ?? '');
    if (message !== undefined) yield { path: ['environment', name], message };
  }
}

function textFault(text: string): string | undefined {
  if (text.length > MAX_TEXT) return `has over ${MAX_TEXT} characters once filled in`;
  return text.includes('\0') ? 'holds a zero character once filled in' : undefined;
}

function* nameFaults({ inputs, outputs }: Description): Generator<JobFault> {
  const taken: string[] = [];
  const places = [
    ...inputs.map(({ name }, at) => ({ name, path: ['inputs', at] as const })),
    ...outputs.map(({ name }, at) => ({ name, path: ['outputs', at] as const })),
  ];
  for (const { name, path } of places) {
    const fault = fileNameFault(name);
    if (fault !== undefined) yield { path, message: `${shown(name)} ${fault}` };
    const other = collision(name, taken);
    if (other !== undefined)
      yield { path, message: `${shown(name)} and ${shown(other)} cannot lie in one directory; rename one` };
    taken.push(name);
  }
}

function* commandFaults({ command, inputs }: Description): Generator<JobFault> {
  if (!command.startsWith('./')) return;
  const name = command.slice(2);
  if (inputs.some((input) => input.name === name)) return;
  yield { path: ['command'], message: `no input is named ${shown(name)}; add it to inputs` };
}
