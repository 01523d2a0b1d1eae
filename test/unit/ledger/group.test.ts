import { expect, it } from 'vitest';
import type { AgentRow, JobRow, OwnerRow } from '../../../broker/core/state.ts';
import { decideGroup } from '../../../broker/ledger/group.ts';
import { accept, hello, lease, report } from '../lease-machine/world.ts';

it('a row that ends a group as it began it is not among the changes', () => {
  const jobs = new Map<string, JobRow>();
  const agents = new Map<string, AgentRow>();
  const owners = new Map<string, OwnerRow>();
  const stored = {
    job: (id: string) => jobs.get(id),
    agent: (id: string) => agents.get(id),
    owner: (id: string) => owners.get(id),
    description: () => '{}',
  };
  const before = decideGroup([hello('a'), accept('j1'), accept('j2'), lease('a', 'j1', 1)], stored, 0);
  for (const [id, { after }] of before.jobs) jobs.set(id, after);
  for (const [id, agent] of before.agents) agents.set(id, agent);
  for (const [id, owner] of before.owners) owners.set(id, owner);
  expect(owners.get('owner-a')).toMatchObject({ live: 1 });

  const taken = decideGroup([report('a', 'j1', 1, 2)], stored, 1);
  expect(taken.owners.get('owner-a')).toMatchObject({ live: 0 });
  const { outcomes, ...changed } = decideGroup([report('a', 'j1', 1, 2), lease('a', 'j2', 2)], stored, 1);
  expect(outcomes.map(({ kind }) => kind)).toEqual(['reported', 'leased']);
  expect([...changed.jobs.keys()]).toEqual(['j1', 'j2']);
  expect([...changed.owners]).toEqual([]);
});
