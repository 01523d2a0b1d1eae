import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { needsPython, PYTHON, PYTHON_AGENT } from '../../doubles/python-agent.ts';

it('the agent in Python makes handshake and frames byte for byte as the vectors have them, and refuses what the examples refuse', (context) => {
  needsPython(context);
  const { status, stderr } = spawnSync(PYTHON, ['-B', '-m', 'unittest', '-v'], {
    cwd: PYTHON_AGENT,
    encoding: 'utf8',
  });
  expect(stderr).toMatch(/^Ran [1-9]\d+ tests? in /m);
  expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringMatching(/\nOK\n$/) });
});
