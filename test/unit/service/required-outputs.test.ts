import { expect, it } from 'vitest';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createRequiredOutputs } from '../../../broker/service/required-outputs.ts';
import { accept } from '../lease-machine/world.ts';
import { createRuntime, describe as description } from './service-parts.ts';

const described = description({
  outputs: [{ name: 'events' }, { name: 'log', optional: true }, { name: 'histogram' }],
});

it('are the declared outputs that are not optional, remembered or read', async () => {
  const ledger = createMemoryLedger(createRuntime());
  await ledger.apply([accept('j1', { description: JSON.stringify(described) })]);
  const required = createRequiredOutputs(ledger);
  required.note('j2', described);
  for (const job of ['j2', 'j1', 'j1']) expect(await required.take(job)).toEqual(['events', 'histogram']);
  expect(await required.take('j2')).toEqual([]);
});

it('I9 are remembered of so many jobs and no more, the newest', async () => {
  const ledger = createMemoryLedger(createRuntime());
  const required = createRequiredOutputs(ledger);
  for (let job = 0; job < 8_193; job++) required.note(`j${job}`, described);
  expect(await required.take('j0')).toEqual([]);
  expect(await required.take('j1')).toHaveLength(2);
  expect(await required.take('j8192')).toHaveLength(2);
});
