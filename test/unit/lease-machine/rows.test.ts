import { describe, expect, it } from 'vitest';
import { gather, type Lookup, rowsNamed } from '../../../broker/core/rows.ts';
import { finalised, hello, lease, leasedWorld, renew, report } from './world.ts';

const world = leasedWorld();
world.do(hello('b'));
const lookup: Lookup = {
  job: (id) => (id === 'j1' ? world.job('j1') : undefined),
  agent: (id) => world.agent(id),
  owner: (id) => world.owner(id),
  description: (id) => `description of ${id}`,
};

describe('the rows a command reads', () => {
  it('are named as far as those loaded tell', () => {
    expect(rowsNamed(finalised('j1', 1))).toEqual({
      job: 'j1',
      agent: undefined,
      owner: undefined,
      held: [],
    });
    expect(rowsNamed(finalised('j1', 1), { job: world.job('j1') })).toMatchObject({ agent: 'a' });
    const rows = { job: world.job('j1'), agent: world.agent('a') };
    expect(rowsNamed(finalised('j1', 1), rows)).toMatchObject({ owner: 'owner-a' });
    expect(rowsNamed(hello('a'), rows)).toEqual({
      job: undefined,
      agent: 'a',
      owner: 'owner-a',
      held: ['j1'],
    });
  });

  it('I2 of an agent command are its own, whoever holds the attempt', () => {
    expect(gather(renew('b', 'j1', 1), lookup)).toMatchObject({
      agent: { id: 'b' },
      owner: { id: 'owner-b' },
    });
    expect(gather(report('b', 'j1', 1, 1), lookup).agent?.id).toBe('b');
  });

  it('hold the description for a lease alone', () => {
    expect(gather(lease('b', 'j1', 1), lookup).description).toBe('description of j1');
    expect(gather(finalised('j1', 1), lookup).description).toBeUndefined();
  });
});
