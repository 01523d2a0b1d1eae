import { afterEach, describe, expect, it } from 'vitest';
import { createMetrics } from '../../../protocol/runtime/metrics.ts';
import { type MetricsServer, startMetricsServer } from '../../../protocol/runtime/metrics-server.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const DEFINITIONS = {
  test_things_total: { kind: 'counter', label: 'kind', help: 'Things' },
  test_elsewhere_total: { kind: 'counter', help: 'Counted elsewhere' },
  test_level: { kind: 'gauge', help: 'Level' },
  test_seconds: { kind: 'histogram', buckets: [0.1, 1], help: 'How long' },
} as const;

async function lines(metrics: { text(): Promise<string> }, start: string): Promise<readonly string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith(start));
}

describe('metrics', () => {
  it('are counted, set, observed, and collected when they are read', async () => {
    let total = 5;
    const metrics = createMetrics(DEFINITIONS, (meter) => {
      meter.set('test_level', 7);
      meter.set('test_elsewhere_total', total);
    });
    metrics.add('test_things_total', 'a');
    metrics.add('test_things_total', 'a', 2);
    metrics.observe('test_seconds', 0.5);
    await metrics.text();
    total = 8;
    expect(await lines(metrics, 'test_things_total')).toEqual(['test_things_total{kind="a"} 3']);
    expect(await lines(metrics, 'test_level')).toEqual(['test_level 7']);
    expect(await lines(metrics, 'test_elsewhere_total')).toEqual(['test_elsewhere_total 8']);
    expect(await lines(metrics, 'test_seconds_bucket')).toContain('test_seconds_bucket{le="1"} 1');
  });

  it('a label that somebody fills up does not grow for ever', async () => {
    const metrics = createMetrics(DEFINITIONS, () => undefined);
    for (let at = 0; at < 10_000; at += 1) metrics.add('test_things_total', `"\n} evil ${at}`);
    const all = await lines(metrics, 'test_things_total');
    expect(all).toHaveLength(65);
    expect(all).toContain(`test_things_total{kind="other"} ${10_000 - 64}`);
  });
});

describe('the metrics server', () => {
  let server: MetricsServer | undefined;
  afterEach(() => server?.stop());

  it('answers GET /metrics on the loopback interface and nothing else', async () => {
    const metrics = createMetrics(DEFINITIONS, (meter) => meter.set('test_level', 1));
    server = await startMetricsServer(metrics, 0, silentLog);
    expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    const answer = await fetch(server.url);
    expect(answer.headers.get('content-type')).toContain('text/plain');
    expect(await answer.text()).toContain('test_level 1');
    expect((await fetch(`${server.url}/other`)).status).toBe(404);
    expect((await fetch(server.url, { method: 'POST', body: 'x' })).status).toBe(404);
    await expect(
      startMetricsServer(metrics, Number(new URL(server.url).port), silentLog),
    ).rejects.toMatchObject({ code: 'PORT_TAKEN' });
  });

  it('says so where what it asks fails', async () => {
    const broken = createMetrics(DEFINITIONS, () => Promise.reject(new Error('closed')));
    server = await startMetricsServer(broken, 0, silentLog);
    expect((await fetch(server.url)).status).toBe(503);
  });
});
