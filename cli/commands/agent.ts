import { resolve } from 'node:path';
import type { Command } from 'commander';
import { EXIT, show } from '../command-line.ts';
import { askBroker } from '../connection.ts';
import { environmentWay } from '../../agent/chosen-way.ts';
import type { IsolationMethod } from '../../agent/executors/index.ts';
import { addAgentManagement } from './agent-manage.ts';
import { action, type CommonOptions, outputOf, withCommon } from './common.ts';

interface RunOptions {
  readonly directory: string;
  readonly code?: string;
  readonly codeFile?: string;
  readonly installation?: string;
  readonly oidcTokenFile?: string;
  readonly certificate?: string;
  readonly certificateKey?: string;
  readonly context?: string;
  readonly boincShared?: string;
  readonly boincHours?: string;
  readonly boincIdle?: string;
  readonly ca?: string;
  readonly environment?: string;
  readonly slots: string;
  readonly isolation?: IsolationMethod;
  readonly drain: string;
  readonly json?: boolean;
}

interface CodeOptions extends CommonOptions {
  readonly owner: string;
  readonly site: string;
  readonly hours: string;
}

/** `co-pilot agent …`: run an agent here, or manage those a broker serves. */
export function addAgentCommands(program: Command): void {
  const agent = program.command('agent').description('run an agent, and manage agents');
  agent
    .command('run')
    .description('run an agent on this machine')
    .requiredOption('--directory <directory>', 'where the agent keeps its keys and its jobs; its own, 0700')
    .option('--code <code>', 'one-use code from `co-pilot agent code`; needed once')
    .option('--code-file <file>', 'the same, from a file')
    .option('--installation <pin>', 'where to enrol without a code: what `co-pilot agent pin` prints')
    .option(
      '--oidc-token-file <file>',
      'enrol with the access token in the file (or COPILOT_OIDC_TOKEN) instead of a code',
    )
    .option(
      '--certificate <file>',
      'enrol with the client certificate or proxy in the file, instead of a code',
    )
    .option('--certificate-key <file>', 'its key, where that is not in the same file')
    .option(
      '--context <place>',
      'where a virtual machine was told of a BOINC account: auto, environment, floppy:FILE, init-data:FILE, directory:DIR or file:FILE',
    )
    .option(
      '--boinc-shared <directory>',
      'the directory that vboxwrapper shares with this machine: heartbeat, completion and so on go there',
    )
    .option('--boinc-hours <hours>', 'when the task of BOINC is done; never where left out')
    .option('--boinc-idle <minutes>', 'without a job for so long BOINC puts the machine away', '30')
    .option('--ca <file>', 'authorities (PEM) to trust beside those that Node comes with')
    .option('--environment <file>', 'what every job gets here, and what must be in order before one runs')
    .option('--slots <number>', 'jobs at once', '1')
    .option(
      '--isolation <method>',
      'bubblewrap, unshare, uid or none; the strongest that works where left out',
    )
    .option('--drain <seconds>', 'how long running jobs may go on after SIGTERM', '0')
    .option('--json', 'events as lines of JSON')
    .action(action(run));
  withCommon(agent.command('code'))
    .description('make a one-use code that enrols one agent')
    .option('--owner <name>', 'who answers for the agent', 'volunteer')
    .option('--site <name>', 'where it runs', 'home')
    .option('--hours <hours>', 'how long the code is good', '24')
    .action(action(code));
  withCommon(agent.command('pin'))
    .description('print what agents need to enrol without a code: where, and whom to believe; no secret')
    .action(action(pin));
  addAgentManagement(agent);
}

async function run(options: RunOptions): Promise<number> {
  const { boincArguments, runAgentProgram } = await import('../../agent/program.ts');
  const { directory, code, codeFile, installation, oidcTokenFile, certificate, certificateKey } = options;
  const { ca, context } = options;
  const { slots, isolation, drain, json } = options;
  return runAgentProgram({
    directory,
    slots: Number(slots),
    drainSeconds: Number(drain),
    json: json === true,
    withParent: false,
    way: {
      ...environmentWay(process.env),
      ...(code !== undefined && { code }),
      ...(codeFile !== undefined && { codeFile }),
      ...(installation !== undefined && { installation }),
      ...(oidcTokenFile !== undefined && { oidcTokenFile }),
      ...(certificate !== undefined && { certificateFile: certificate }),
      ...(certificateKey !== undefined && { certificateKeyFile: certificateKey }),
    },
    ...(context !== undefined && { context }),
    ...boincArguments(options.boincShared, options.boincHours, options.boincIdle),
    ...(ca !== undefined && { authorities: ca }),
    ...(options.environment !== undefined && { environmentFile: options.environment }),
    ...(isolation !== undefined && { isolation }),
  });
}

async function code(options: CodeOptions): Promise<number> {
  const seconds = Math.round(Number(options.hours) * 3600);
  const body = { owner: options.owner, site: options.site, seconds };
  const made = await askBroker<{ readonly code: string; readonly seconds: number }>(
    resolve(options.data),
    'POST',
    '/v1/codes',
    body,
  );
  show(outputOf(options), made, () => [made.code]);
  return EXIT.ok;
}

async function pin(options: CommonOptions): Promise<number> {
  const answer = await askBroker<{ readonly pin: string }>(resolve(options.data), 'GET', '/v1/pin');
  show(outputOf(options), answer, () => [answer.pin]);
  return EXIT.ok;
}
