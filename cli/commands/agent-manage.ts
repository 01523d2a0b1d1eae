import { resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import type { AgentDetail, AgentSummary } from '../../broker/http/agent-routes.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import { agentPages } from '../agent-pages.ts';
import { EXIT, show } from '../command-line.ts';
import { askBroker } from '../connection.ts';
import { ageText } from '../display/pace.ts';
import { safeLine } from '../display/safe-text.ts';
import { type Listing, showListing } from '../listing.ts';
import { regularly } from '../watch.ts';
import {
  action,
  type CommonOptions,
  type ListOptions,
  outputOf,
  watchUntilInterrupted,
  withCommon,
  withList,
} from './common.ts';

interface DrainOptions extends CommonOptions {
  readonly undo?: boolean;
}

interface RevokeOptions extends CommonOptions {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** What an operator does about agents that a broker serves. */
export function addAgentManagement(agent: Command): void {
  withList(agent.command('list')).description('list the agents that ever came').action(action(list));
  withCommon(agent.command('show').argument('<agent>'))
    .description('everything known of an agent')
    .action(action(showAgent));
  withCommon(agent.command('drain').argument('<agent>'))
    .description('let it finish what it runs and give it no more, until --undo')
    .option('--undo', 'give it work again')
    .action(action(drain));
  withCommon(agent.command('revoke').argument('<agent>'))
    .description('take an agent out for good; its attempts end at once')
    .option('--yes', 'do not ask')
    .option('--dry-run', 'only say which attempts would end')
    .action(action(revoke));
}

async function list(options: ListOptions): Promise<number> {
  const output = outputOf(options);
  const directory = resolve(options.data);
  const look = async (): Promise<Listing<AgentSummary>> => listing(await allAgents(directory));
  if (options.watch !== true) {
    showListing(output, await look());
    return EXIT.ok;
  }
  return watchUntilInterrupted(output, { look, changes: regularly });
}

async function allAgents(directory: string): Promise<readonly AgentSummary[]> {
  const agents: AgentSummary[] = [];
  for await (const page of agentPages(directory)) agents.push(...page);
  return agents;
}

function listing(items: readonly AgentSummary[]): Listing<AgentSummary> {
  return {
    name: 'agents',
    items,
    header: ['AGENT', 'OWNER', 'SITE', 'TIER', 'STATUS', 'CONNECTED', 'LIVE', 'HEARD', 'COOL-DOWN'],
    row: (agent) => [
      ...[agent.agent, agent.owner, agent.site, agent.tier, agent.status],
      ...[agent.connected ? 'yes' : 'no', String(agent.live), heardText(agent)],
      agent.coolDownSeconds === 0 ? '' : ageText(agent.coolDownSeconds),
    ],
    key: ({ agent }) => agent,
  };
}

async function showAgent(id: string, options: CommonOptions): Promise<number> {
  const agent = await detailOf(resolve(options.data), id);
  show(outputOf(options), agent, () => agentLines(agent).map(safeLine));
  return EXIT.ok;
}

function agentLines(agent: AgentDetail): readonly string[] {
  const coolDown = agent.coolDownSeconds === 0 ? 'none' : `${ageText(agent.coolDownSeconds)} still`;
  return [
    `agent      ${agent.agent}`,
    `owner      ${agent.owner} at ${agent.site}, ${agent.tier}`,
    `status     ${agent.status}${agent.connected ? ', connected' : ', not connected'}`,
    `place      ${agent.place ? 'counts' : 'does not count'} among the agents of its owner`,
    `heard      ${heardText(agent) || 'not since the broker started'}`,
    `cool-down  ${coolDown}, after ${agent.quickFailures} quick failures in a row`,
    ...agent.held.map(
      ({ job, attempt, live }) => `holds      job ${job} attempt ${attempt}, ${live ? 'live' : 'reported'}`,
    ),
    ...agent.verdicts.map(
      ({ job, attempt, verdict }) => `not seen   job ${job} attempt ${attempt} is ${verdict}`,
    ),
  ];
}

async function drain(id: string, options: DrainOptions): Promise<number> {
  const draining = options.undo !== true;
  const path = `${pathOf(id)}/drain`;
  const agent = await askBroker<AgentDetail>(resolve(options.data), 'POST', path, { draining });
  show(outputOf(options), agent, () => [
    draining
      ? `${agent.agent} gets no more work; it finishes ${agent.live} running attempts`
      : `${agent.agent} gets work again; start it if it has ended`,
  ]);
  return EXIT.ok;
}

async function revoke(id: string, options: RevokeOptions): Promise<number> {
  const output = outputOf(options);
  const directory = resolve(options.data);
  const { agent, status, held } = await detailOf(directory, id);
  const ends = held.filter(({ live }) => live).map(({ job, attempt }) => ({ job, attempt }));
  if (options.dryRun === true) {
    show(output, { agent, status, ends, dryRun: true }, () => [
      `${agent} is ${status}; ${ends.length} attempts would end`,
      ...ends.map(({ job, attempt }) => `job ${job} attempt ${attempt}`),
    ]);
    return EXIT.ok;
  }
  if (options.yes !== true && !(await isConfirmed(agent, ends.length))) {
    output.note('nothing was changed');
    return EXIT.failed;
  }
  const answer = await askBroker<{ readonly agent: string; readonly status: string }>(
    directory,
    'POST',
    `${pathOf(id)}/revoke`,
    {},
  );
  show(output, answer, () => [`${answer.agent} is ${answer.status}`]);
  return EXIT.ok;
}

/** Throws `INVALID_REQUEST` where nobody is there to be asked. */
async function isConfirmed(agent: string, ends: number): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY)
    throw new CoPilotError(
      'INVALID_REQUEST',
      'revoking an agent cannot be taken back: say --yes, or --dry-run to see what would end',
    );
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await asking.question(`take ${agent} out for good and end ${ends} attempts? [y/N] `);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

function detailOf(directory: string, id: string): Promise<AgentDetail> {
  return askBroker(directory, 'GET', pathOf(id));
}

function pathOf(id: string): string {
  return `/v1/agents/${encodeURIComponent(id)}`;
}

function heardText({ lastHeardSeconds }: AgentSummary): string {
  return lastHeardSeconds === null ? '' : `${ageText(lastHeardSeconds)} ago`;
}
