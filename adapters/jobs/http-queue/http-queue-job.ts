import { Ajv2020 } from 'ajv/dist/2020.js';
import type { InputStore } from '../kit/input-store.ts';
import type { NewJob } from '../job-adapter.ts';
import type { QueueJob } from './http-queue-wire.ts';

/** What the queue says of a job, as docs/http-queue.md has it. */
interface Said {
  readonly owner: string;
  readonly campaign: string;
  readonly priority: number;
  readonly command: string;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Text by name of file. */
  readonly files: Readonly<Record<string, string>>;
  readonly outputs: readonly string[];
  readonly wallSeconds: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  readonly requirements: string;
}

const text = { type: 'string', maxLength: 4096 };
const texts = { type: 'array', items: text, maxItems: 256 };
const number = { type: 'integer' };
const mapping = (maxLength: number, maxProperties: number): object => ({
  type: 'object',
  maxProperties,
  additionalProperties: { type: 'string', maxLength },
});
const MAX_FILE = 1024 * 1024;
const properties = {
  owner: text,
  campaign: text,
  priority: number,
  command: text,
  arguments: texts,
  environment: mapping(4096, 128),
  files: mapping(MAX_FILE, 16),
  outputs: texts,
  wallSeconds: number,
  memoryMiB: number,
  diskMiB: number,
  requirements: text,
};
const schema = { type: 'object', properties, required: Object.keys(properties) };
const isSaid = new Ajv2020({ strict: true, allErrors: false }).compile<Said>(schema);

/** A job of ours, or why it can be none. */
export type Translated =
  | { readonly kind: 'job'; readonly job: NewJob }
  | { readonly kind: 'refused'; readonly reason: string };

export interface TranslateOptions {
  /** The id it has with us. */
  readonly id: string;
  readonly site: string;
  /** Times that a payload which failed is tried again. */
  readonly retries: number;
  readonly inputs: InputStore | undefined;
}

/** Rejects where an input cannot be stored now. What the contract says of a job is for the ceiling to check. */
export async function translate(
  said: QueueJob,
  { id, site, retries, inputs }: TranslateOptions,
): Promise<Translated> {
  if (!isSaid(said)) {
    const [fault] = isSaid.errors ?? [];
    const where = fault?.instancePath.slice(1).replaceAll('/', '.') ?? '';
    return { kind: 'refused', reason: `${where === '' ? 'the job' : where} ${fault?.message ?? 'is wrong'}` };
  }
  const files = Object.entries(said.files);
  if (files.length > 0 && inputs === undefined)
    return { kind: 'refused', reason: 'this adapter has no Data Bridge, where the files of jobs go' };
  const stored = [];
  for (const [name, content] of files) {
    const input = await inputs?.put({ kind: 'bytes', bytes: Buffer.from(content) });
    if (input !== undefined) stored.push({ name, ...input, executable: content.startsWith('#!') });
  }
  const { command, environment, requirements, wallSeconds, memoryMiB, diskMiB } = said;
  const job: NewJob = {
    job: id,
    ref: said.id,
    owner: said.owner,
    site,
    campaign: said.campaign,
    priority: said.priority,
    retries,
    description: {
      command,
      arguments: [...said.arguments],
      environment,
      inputs: stored,
      outputs: said.outputs.map((name) => ({ name })),
      limits: { wallSeconds, memoryMiB, diskMiB },
      requirements,
    },
    state: JSON.stringify({ id: said.id, try: said.try }),
  };
  return { kind: 'job', job };
}
