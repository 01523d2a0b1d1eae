import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A campaign of shell jobs; the script may use `${n}`, which is 1 and up. */
export interface ShellCampaign {
  readonly name: string;
  readonly script: string;
  readonly jobs: number;
  readonly outputs?: readonly string[];
  readonly retries?: number;
  readonly queue?: string;
  readonly limits?: string;
}

const LIMITS = '{ wall: 2m, memory: 128MiB, disk: 16MiB }';

/** Writes the campaign file into the directory; answers its path. */
export async function writeCampaign(directory: string, campaign: ShellCampaign): Promise<string> {
  const { name, script, jobs, outputs = [], retries = 0, queue, limits = LIMITS } = campaign;
  const path = join(directory, `${name}.yaml`);
  const lines = [
    `name: ${name}`,
    'command: sh',
    "arguments: ['./job.sh']",
    'inputs:',
    '  - name: job.sh',
    `    content: ${JSON.stringify(script)}`,
    `outputs: ${JSON.stringify(outputs)}`,
    `retries: ${retries}`,
    ...(queue === undefined ? [] : [`queue: ${queue}`]),
    `limits: ${limits}`,
    `parameters: { n: 1..${jobs} }`,
  ];
  await writeFile(path, `${lines.join('\n')}\n`);
  return path;
}
