import { DEFAULT_AGENTS_PER_OWNER } from '../../broker/enrolment/configured-methods.ts';
import { agentPages } from '../agent-pages.ts';
import type { Installation } from '../installation.ts';
import { type Finding, ok, warning } from './finding.ts';
import type { Running } from './installation.ts';

/** From this part of the bound on, an owner will soon be refused. */
const NEARLY = 0.9;

/** Owners that have nearly as many agents as may be. */
export async function checkOwners(
  { directory, configurations }: Installation,
  running: Running,
): Promise<readonly Finding[]> {
  if (!running.has('broker')) return [];
  const bound = configurations.broker.enrolment?.agentsPerOwner ?? DEFAULT_AGENTS_PER_OWNER;
  const counts = new Map<string, number>();
  for await (const page of agentPages(directory))
    for (const { owner, place } of page) if (place) counts.set(owner, (counts.get(owner) ?? 0) + 1);
  return ownerFindings(counts, bound);
}

export function ownerFindings(counts: ReadonlyMap<string, number>, bound: number): readonly Finding[] {
  const what = 'agents of one owner';
  const full = [...counts].filter(([, count]) => count >= NEARLY * bound);
  if (full.length === 0) return [ok(what, `no owner has nearly ${bound}, the bound`)];
  return full.map(([owner, count]) =>
    warning(
      what,
      `${owner} has ${count}, and no more than ${bound} may enrol`,
      'co-pilot agent revoke those that are gone, or raise enrolment.agentsPerOwner',
    ),
  );
}
