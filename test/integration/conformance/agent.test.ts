import { describe, expect, it } from 'vitest';
import { SubjectUnavailable } from '../../../conformance/case.ts';
import {
  conform,
  failures,
  faultyAgent,
  OUR_BARE_AGENT,
  PLANTED_SHORT,
} from '../../doubles/agent-conformance.ts';

/** A machine that does other things too takes longer. */
const PATIENCE = 3;

describe('the suite for agents', () => {
  it('finds nothing wrong with our own agent, level core', { timeout: 180_000 }, async () => {
    const report = await conform(OUR_BARE_AGENT, 'core', PATIENCE);
    expect(failures(report)).toEqual([]);
    expect(report.passed).toBeGreaterThanOrEqual(20);
  });

  it.each([
    ['that is not there', '/there/is/no/such-agent {directory}', 'cannot be started'],
    ['that ends at once', `"${process.execPath}" -e "process.exit(3)"`, 'ended with code 3'],
  ])('says of a program %s that it is no subject, not that it is wrong', async (_what, program, words) => {
    const running = conform(program, 'core', PATIENCE, ['AGT-M-005']);
    await expect(running).rejects.toThrow(SubjectUnavailable);
    await expect(running).rejects.toThrow(words);
  });
});

describe('an agent', () => {
  it.concurrent.each(PLANTED_SHORT)(
    'that %s is caught by %s',
    { timeout: 120_000 },
    async (fault, id, words) => {
      const { results } = await conform(faultyAgent(fault), 'robust', PATIENCE, [id]);
      expect(results[0]?.outcome).toEqual({ kind: 'failed', reason: expect.stringContaining(words) });
    },
  );

  it('without such a fault is not', { timeout: 120_000 }, async () => {
    const ids = PLANTED_SHORT.map(([, id]) => id);
    expect(failures(await conform(faultyAgent('none'), 'robust', PATIENCE, ids))).toEqual([]);
  });
});
