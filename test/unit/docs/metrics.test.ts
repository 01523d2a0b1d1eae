import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FRAMEWORK_METRICS } from '../../../adapters/jobs/kit/framework-metrics.ts';
import { LOCAL_METRICS } from '../../../adapters/jobs/local/metrics.ts';
import { BRIDGE_METRICS } from '../../../adapters/storage/bridge/metrics.ts';
import { BROKER_METRICS } from '../../../broker/metrics.ts';
import type { MetricDefinitions } from '../../../protocol/runtime/meter.ts';
import { createMetrics } from '../../../protocol/runtime/metrics.ts';

const PROGRAMS: readonly MetricDefinitions[] = [
  BROKER_METRICS,
  LOCAL_METRICS,
  BRIDGE_METRICS,
  FRAMEWORK_METRICS,
];
const PAGE = join(import.meta.dirname, '../../../docs/metrics.md');

async function served(definitions: MetricDefinitions): Promise<readonly string[]> {
  const text = await createMetrics(definitions, () => undefined).text();
  return [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, kind]) => `${name} ${kind}`);
}

async function documented(): Promise<readonly string[]> {
  const page = await readFile(PAGE, 'utf8');
  return [...page.matchAll(/^\| `(\S+)` \| (\w+) \|/gm)].map(([, name, kind]) => `${name} ${kind}`);
}

describe('docs/metrics.md', () => {
  it('names every metric that is served, and no other', async () => {
    const all = await Promise.all(PROGRAMS.map(served));
    expect((await documented()).toSorted()).toEqual([...new Set(all.flat())].toSorted());
  });

  it('says what each means, in the words of the program', async () => {
    const page = await readFile(PAGE, 'utf8');
    for (const definitions of PROGRAMS)
      for (const [name, { kind, label, help }] of Object.entries(definitions))
        expect(page).toContain(
          `| \`${name}\` | ${kind} | ${label === undefined ? '' : `\`${label}\``} | ${help} |`,
        );
  });
});
