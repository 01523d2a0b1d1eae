import { describe, expect, it } from 'vitest';
import { casesOf } from '../../conformance/suites.ts';
import { conform, failures, faultyAgent, OUR_AGENT, PLANTED_LONG } from '../doubles/agent-conformance.ts';

const PATIENCE = 2;

describe('the suite for agents', () => {
  it('finds nothing wrong with our own agent, every case of every level', async () => {
    const report = await conform(OUR_AGENT, 'robust', PATIENCE);
    expect(failures(report)).toEqual([]);
    expect(report.passed).toBe(casesOf('agent').length);
  });

  it.each(PLANTED_LONG)('catches an agent that %s by %s', async (fault, id, words) => {
    const { results } = await conform(faultyAgent(fault), 'robust', 1, [id]);
    expect(results[0]?.outcome).toEqual({ kind: 'failed', reason: expect.stringContaining(words) });
  });

  it('catches none without such a fault', async () => {
    const ids = PLANTED_LONG.map(([, id]) => id).filter((id) => id !== 'AGT-E-004');
    expect(failures(await conform(faultyAgent('none'), 'robust', PATIENCE, ids))).toEqual([]);
  });
});
