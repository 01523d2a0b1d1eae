import { expect, it } from 'vitest';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createAttemptsUnderWay } from '../../../broker/service/attempts-under-way.ts';
import { accept } from '../lease-machine/world.ts';
import { createRuntime, describe as description } from './service-parts.ts';

const described = description({
  outputs: [{ name: 'events' }, { name: 'log', optional: true }, { name: 'histogram' }],
});

const leased = (job: string) => ({ job, attempt: 1, agent: 'a', queue: 'local' });

it('a result must have the declared outputs that are not optional, remembered or read', async () => {
  const ledger = createMemoryLedger(createRuntime());
  await ledger.apply([accept('j1', { description: JSON.stringify(described) })]);
  const underWay = createAttemptsUnderWay(ledger);
  underWay.note(leased('j2'), described);
  expect(underWay.leased('j2')).toEqual(leased('j2'));
  expect(underWay.requiredOutputs('j2')).toEqual(['events', 'histogram']);
  underWay.forget('j2');
  expect(underWay.leased('j2')).toBeUndefined();
  expect(underWay.requiredOutputs('j2')).toBeUndefined();
  expect(await underWay.readRequiredOutputs('j1')).toEqual(['events', 'histogram']);
  expect(await underWay.readRequiredOutputs('j2')).toEqual([]);
});

it('I9 so many attempts are remembered and no more, the newest', () => {
  const underWay = createAttemptsUnderWay(createMemoryLedger(createRuntime()));
  for (let job = 0; job < 8_193; job++) underWay.note(leased(`j${job}`), described);
  expect(underWay.requiredOutputs('j0')).toBeUndefined();
  expect(underWay.requiredOutputs('j1')).toHaveLength(2);
  expect(underWay.requiredOutputs('j8192')).toHaveLength(2);
});
