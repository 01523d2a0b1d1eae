import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { IsolationMethod } from '../../agent/executors/index.ts';
import { noIsolationText } from '../../agent/present.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { detectAgentIsolation } from '../agent-fleet.ts';
import { startBusFor } from '../bus-for-up.ts';
import { BUS_SERVERS } from '../bus-servers.ts';
import { EXIT } from '../command-line.ts';
import { loadConfiguration } from '../configuration/load.ts';
import { type OutsideWork, startFrameworkFor } from '../framework-for-up.ts';
import { FRAMEWORK_KINDS } from '../framework-kinds.ts';
import { ROLES } from '../installation.ts';
import { createJsonView } from '../plain-view.ts';
import { runRole } from '../role-program.ts';
import { createView } from '../view.ts';
import { action, collect, type CommonOptions, withCommon } from './common.ts';

interface UpOptions extends CommonOptions {
  readonly once?: boolean;
  readonly chaos?: boolean;
  readonly agents?: string;
  readonly isolation?: IsolationMethod;
  readonly port?: string;
  /** False with `--no-demo`. */
  readonly demo: boolean;
  readonly role?: string;
  readonly set: readonly string[];
  readonly withParent?: boolean;
  readonly bus?: string;
  readonly framework?: string;
  readonly jobs: string;
}

const METHODS: readonly IsolationMethod[] = ['bubblewrap', 'unshare', 'uid', 'none'];
const MAX_AGENTS = 64;
const MAX_JOBS = 10_000;

/** `co-pilot up`: everything of one machine in one command. */
export function addUpCommand(program: Command): void {
  withCommon(program.command('up').argument('[campaign.yaml]', 'your own campaign instead of the example'))
    .description('start broker, adapters and agents on this machine, and run a campaign')
    .option('--once', 'end when the campaign has ended; exit 0 if every job finished')
    .option(
      '--chaos',
      'kill and stop agents and the broker meanwhile, and prove from the ledger that nothing was lost or counted twice',
    )
    .option('--agents <number>', 'agents to start; up.agents of the configuration, 4, where left out')
    .option(
      '--isolation <method>',
      `how agents and jobs are kept apart: ${METHODS.join(', ')}; the strongest that works where left out`,
    )
    .option(
      '--port <number>',
      'first of three ports in a row (bus, enrolment, bridge); free ones where left out',
    )
    .option('--bus <server>', `run over a server of your own, started for this: ${BUS_SERVERS.join(', ')}`)
    .option(
      '--framework <kind>',
      `submit jobs to a stand-in for a production system, started for this, and run them from there: ${Object.keys(FRAMEWORK_KINDS).join(', ')}`,
    )
    .option('--jobs <number>', 'jobs that are submitted to the framework', '12')
    .option('--no-demo', 'run no campaign unless one is named')
    .option(
      '--role <role>',
      `only one program of the installation: ${ROLES.join(', ')}, or a framework’s name`,
    )
    .option('--set <key=value>', 'a setting for this run alone, such as broker.sweepMs=500', collect, [])
    .option('--with-parent', 'end when standard input does')
    .action(action(up));
}

async function up(file: string | undefined, options: UpOptions): Promise<number> {
  const directory = resolve(options.data);
  if (options.role !== undefined) {
    const { role } = options;
    return runRole({ directory, role, flags: options.set, withParent: options.withParent === true });
  }
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, onSignal);
  try {
    const place: Place = { directory, flags: options.set };
    const { bus, framework } = options;
    const run = (own: Place): Promise<number> => upIn(own, file, options, stop.signal);
    const onBus = (own: Place): Promise<number> => (bus === undefined ? run(own) : upOn(bus, own, run));
    if (framework === undefined) return await onBus(place);
    if (file !== undefined)
      throw new CoPilotError('INVALID_REQUEST', '--framework brings its own jobs; leave the campaign out');
    return await upWith(framework, { place, jobs: wholeNumber(options.jobs, '--jobs', MAX_JOBS) }, onBus);
  } catch (caught) {
    if (stop.signal.aborted) return EXIT.interrupted;
    throw caught;
  } finally {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, onSignal);
  }
}

/** Where an installation lies, and what every part of it is told beside its file. */
interface Place {
  readonly directory: string;
  readonly flags: readonly string[];
  /** Runs instead of a campaign. */
  readonly work?: OutsideWork;
}

/** With the jobs of a framework that is there for as long as this runs. */
async function upWith(
  kind: string,
  { place, jobs }: { readonly place: Place; readonly jobs: number },
  run: (own: Place) => Promise<number>,
): Promise<number> {
  const { stop, ...own } = await startFrameworkFor(kind, place.directory, { flags: place.flags, jobs });
  try {
    return await run(own);
  } finally {
    await stop();
  }
}

/** Over a server that is there for as long as this runs. */
async function upOn(server: string, place: Place, run: (own: Place) => Promise<number>): Promise<number> {
  const { stop, ...own } = await startBusFor(server, place.directory, place.flags);
  try {
    return await run({ ...own, ...(place.work && { work: place.work }) });
  } finally {
    await stop();
  }
}

async function upIn(
  { directory, flags, work }: Place,
  file: string | undefined,
  options: UpOptions,
  signal: AbortSignal,
): Promise<number> {
  const configuration = await loadConfiguration({ directory, environment: process.env, flags });
  const { up: chosen } = configuration.settings;
  const agents =
    options.agents === undefined ? chosen.agents : wholeNumber(options.agents, '--agents', MAX_AGENTS);
  const preferred = options.isolation ?? chosen.isolation;
  const method = await isolation(preferred, agents);
  if (method === undefined) return EXIT.configuration;
  const json = options.json === true;
  // A single role loads nothing of the demo.
  const { EXAMPLE_CAMPAIGN, runDemo } = await import('../demo.ts');
  return runDemo({
    directory,
    configuration,
    flags,
    campaignFile:
      file === undefined
        ? options.demo && work === undefined
          ? EXAMPLE_CAMPAIGN
          : undefined
        : resolve(file),
    work,
    agents,
    method,
    // An agent is never root, hence cannot give its jobs another user id.
    jobMethod: preferred === 'uid' ? undefined : preferred,
    port: options.port === undefined ? undefined : wholeNumber(options.port, '--port', 65_533),
    once: options.once === true,
    chaos: options.chaos === true,
    view: json ? createJsonView((line) => process.stdout.write(`${line}\n`)) : createView(process.stdout),
    print: json ? (text) => process.stderr.write(`${text}\n`) : (text) => process.stdout.write(`${text}\n`),
    columns: process.stdout.columns || 80,
    signal,
  });
}

/** Undefined where nothing works and nobody chose to go without: the reasons and the remedy have been printed. */
async function isolation(
  preferred: IsolationMethod | undefined,
  agents: number,
): Promise<IsolationMethod | undefined> {
  if (preferred !== undefined && !METHODS.includes(preferred))
    throw new CoPilotError('INVALID_REQUEST', `--isolation is one of ${METHODS.join(', ')}`);
  if (preferred === 'none' || agents === 0) return 'none';
  const found = await detectAgentIsolation(preferred);
  if (found.kind === 'found') return found.method;
  process.stderr.write(`${noIsolationText(found.attempts, sameCommand())}\n`);
  return undefined;
}

function sameCommand(): string {
  const words = process.argv.slice(3).filter((word) => word !== '--isolation');
  return ['npm start --', ...words, '--isolation none'].join(' ');
}

function wholeNumber(text: string, option: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0 && value <= most) return value;
  throw new CoPilotError('INVALID_REQUEST', `${option} takes a whole number up to ${most}, not ${text}`);
}
