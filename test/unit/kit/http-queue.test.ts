import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createHttpQueueAdapter } from '../../../adapters/jobs/http-queue/http-queue-adapter.ts';
import { frameworkAdapterConformance } from '../../conformance/framework-adapter.ts';
import { openHttpQueueFixture } from './http-queue-fixture.ts';

frameworkAdapterConformance('plain HTTP queue', (opening) =>
  openHttpQueueFixture(createHttpQueueAdapter, opening),
);

it('the adapter that others begin with has under 150 lines', () => {
  const root = join(import.meta.dirname, '../../..');
  const text = readFileSync(join(root, 'adapters/jobs/http-queue/http-queue-adapter.ts'), 'utf8');
  expect(text.split('\n').length).toBeLessThan(150);
});
