import { expect, it } from 'vitest';
import { needsPython } from '../doubles/python-agent.ts';
import { judgePythonAgent } from '../doubles/python-agent-conformance.ts';

it('the agent in Python passes every case of the suite for agents, hostile brokers included', async (context) => {
  needsPython(context);
  const { passed, others } = await judgePythonAgent('robust');
  expect(others).toEqual([]);
  expect(passed).toBeGreaterThanOrEqual(200);
});
