import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { createOutput, EXIT, show } from '../command-line.ts';
import { askBroker, connect } from '../connection.ts';
import { frameworkRolesIn, roleDirectory } from '../installation.ts';
import type { JobDetail } from '../../adapters/jobs/local/queued-job.ts';
import type { WhyFacts } from '../../broker/service/why-facts.ts';
import { readRefusedJobs, REFUSED_FILE } from '../../adapters/jobs/kit/refused-jobs.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Explanation, RefusedByAdapter } from '../why/explain.ts';
import { action, type CommonOptions, withCommon } from './common.ts';

/** `co-pilot job why`: one sentence, the facts behind it, and what to do. */
export function addWhyCommand(job: Command): void {
  withCommon(job.command('why').argument('<job>'))
    .description('why a job is where it is, in one sentence, with evidence')
    .action(action(why));
}

async function why(job: string, options: CommonOptions): Promise<number> {
  const directory = resolve(options.data);
  const explanation = await explainJob(directory, job);
  show(createOutput(options.json === true), explanation, () => lines(explanation));
  return explanation.cause === 'unknown-job' ? EXIT.noInput : EXIT.ok;
}

/** Asks the local queue and the broker of the installation, and looks at what adapters of frameworks refused. Throws `UNREACHABLE` where neither answers. */
export async function explainJob(directory: string, job: string): Promise<Explanation> {
  const { queue } = await connect(directory);
  const local = await orNull<JobDetail>(queue.show(job), ['NOT_FOUND', 'INVALID_REQUEST', 'UNREACHABLE']);
  const query = local === null ? '' : `?queue=${encodeURIComponent(local.queue)}`;
  const path = `/v1/jobs/${encodeURIComponent(job)}/why${query}`;
  const broker = await orNull(askBroker<WhyFacts>(directory, 'GET', path), [
    'UNREACHABLE',
    'INVALID_REQUEST',
  ]);
  const refused = local === null && broker?.job == null ? await refusedHere(directory, job) : null;
  const { explain } = await import('../why/explain.ts');
  return explain({ job, local, broker, refused, nowMs: Date.now() });
}

/** By our name or by the framework's own, the newest refusal; null where there is none. */
async function refusedHere(directory: string, job: string): Promise<RefusedByAdapter | null> {
  const found: RefusedByAdapter[] = [];
  for (const role of await frameworkRolesIn(directory)) {
    const adapter = basename(role);
    const all = await readRefusedJobs(join(roleDirectory(directory, role), REFUSED_FILE));
    found.push(
      ...all.filter((one) => one.job === job || one.ref === job).map((one) => ({ ...one, adapter })),
    );
  }
  return found.toSorted((one, other) => other.atMs - one.atMs)[0] ?? null;
}

async function orNull<T>(asked: Promise<T>, codes: readonly string[]): Promise<T | null> {
  try {
    return await asked;
  } catch (caught) {
    if (codes.includes(toCoPilotError(caught).code)) return null;
    throw caught;
  }
}

function lines({ sentence, evidence, next, cause }: Explanation): readonly string[] {
  return [sentence, ...evidence.map((line) => `  ${line}`), `next: ${next} [${cause}]`];
}
