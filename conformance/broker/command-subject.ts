import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { idIn, runCommand } from '../run-command.ts';
import type { BrokerSubject, WantedJob } from './subject.ts';

/** How a broker is reached and driven by commands of its operator. */
export interface BrokerCommands {
  readonly address?: string;
  readonly codes: readonly string[];
  /** With `{file}`, `{campaign}` or both; prints the job's id. */
  readonly submit: string;
  readonly queue: string;
  /** With `{job}`. */
  readonly cancel?: string;
  /** With `{agent}`. */
  readonly revoke?: string;
  readonly restart?: string;
}

/** A broker behind commands. */
export function commandSubject(commands: BrokerCommands): BrokerSubject {
  const { address, codes, cancel, revoke, restart } = commands;
  return {
    ...(address !== undefined && { address }),
    codes,
    submit: (job, signal) => submit(commands, job, signal),
    ...(cancel !== undefined && {
      cancel: async (job, signal) => {
        await runCommand(cancel, { job }, signal);
      },
    }),
    ...(revoke !== undefined && {
      revoke: async (agent, signal) => {
        await runCommand(revoke, { agent }, signal);
      },
    }),
    ...(restart !== undefined && {
      restart: async (signal) => {
        await runCommand(restart, {}, signal);
      },
    }),
  };
}

async function submit(
  { submit: template, queue }: BrokerCommands,
  job: WantedJob,
  signal: AbortSignal,
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'co-pilot-conformance-'));
  try {
    const file = join(directory, 'description.json');
    const campaign = join(directory, 'campaign.yaml');
    await writeFile(file, JSON.stringify(job.description));
    await writeFile(campaign, JSON.stringify(campaignOf(job, queue)));
    for (const { name, content } of job.inputs) {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), content);
    }
    return idIn(await runCommand(template, { file, campaign, directory, queue }, signal));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The same job as a campaign file of `co-pilot job submit`, its inputs beside it. */
function campaignOf({ description, inputs, retries }: WantedJob, queue: string): object {
  const { command, arguments: words, environment, outputs, limits, requirements } = description;
  return {
    name: 'conformance',
    queue,
    command,
    arguments: words,
    environment,
    inputs: inputs.map(({ name }) => name),
    outputs: outputs.map(({ name, optional, maxBytes }) => ({
      name,
      ...(optional && { optional }),
      ...(maxBytes !== undefined && { maximum: `${Math.ceil(maxBytes / 1024)}KiB` }),
    })),
    limits: {
      wall: `${limits.wallSeconds}s`,
      memory: `${limits.memoryMiB}MiB`,
      disk: `${limits.diskMiB}MiB`,
    },
    requirements,
    retries,
  };
}
