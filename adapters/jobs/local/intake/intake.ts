import type { Log, Random } from '../../../../protocol/runtime/runtime.ts';
import type { LocalQueue } from '../local-queue.ts';
import type { CampaignReader } from './campaign-reader.ts';
import { createDirectoryIntake } from './directory-intake.ts';
import { createHttpIntake } from './http-intake.ts';
import { createInputStore, type InputStore } from './input-store.ts';
import { checkIntake, type IntakeConfiguration } from './intake-configuration.ts';
import { systemOwners } from './owner-names.ts';
import { loadTokens } from './tokens.ts';

export interface IntakeOptions {
  readonly configuration: IntakeConfiguration;
  readonly queue: LocalQueue;
  readonly reader: CampaignReader;
  readonly random: Random;
  readonly log: Log;
}

export interface Intake {
  /** Where HTTP is served; undefined where it is not. */
  readonly url: string | undefined;
  stop(): Promise<void>;
}

/** Opens the ways in that are configured. Rejects with `INVALID_CONFIGURATION`, `NOT_AUTHORIZED` or `PORT_TAKEN`. */
export async function startIntake(options: IntakeOptions): Promise<Intake> {
  const { configuration } = options;
  checkIntake(configuration);
  const inputs = configuration.bridge && createInputStore(configuration.bridge);
  const http = await startHttp(options, inputs);
  try {
    const directory = await startDirectory(options, inputs);
    return {
      url: http?.url,
      async stop() {
        await directory?.stop();
        await http?.stop();
      },
    };
  } catch (caught) {
    await http?.stop();
    throw caught;
  }
}

async function startHttp(
  { configuration: { http }, queue, log }: IntakeOptions,
  inputs: InputStore | undefined,
): Promise<{ readonly url: string; stop(): Promise<void> } | undefined> {
  if (http === undefined) return undefined;
  const { port, tokensFile, names = [] } = http;
  const tokens = await loadTokens(tokensFile);
  const server = createHttpIntake({ queue, tokens, port, names, log, ...(inputs && { inputs }) });
  const url = await server.start();
  log.info({ url }, 'jobs are taken over HTTP');
  return { url, stop: () => server.stop() };
}

async function startDirectory(
  { configuration: { directory }, queue, reader, random, log }: IntakeOptions,
  inputs: InputStore | undefined,
): Promise<{ stop(): Promise<void> } | undefined> {
  if (directory === undefined) return undefined;
  const { path } = directory;
  const intake = createDirectoryIntake({ path, queue, inputs, reader, ownerOf: systemOwners(), random, log });
  await intake.start();
  log.info({ path }, 'campaigns are taken from a directory');
  return intake;
}
