import { expect, it } from 'vitest';
import { needsPython } from '../../doubles/python-agent.ts';
import { judgePythonAgent } from '../../doubles/python-agent-conformance.ts';

it('the agent in Python passes what an agent must do at the least', async (context) => {
  needsPython(context);
  const { passed, others } = await judgePythonAgent('core');
  expect(others).toEqual([]);
  expect(passed).toBeGreaterThanOrEqual(20);
});
