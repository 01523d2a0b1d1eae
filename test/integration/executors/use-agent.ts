import { afterAll, beforeAll, beforeEach } from 'vitest';
import { AgentProcess, type Setting } from './agent-process.ts';

/** An agent for the tests of one suite. Where its method does not work they fail in CI and are counted and named elsewhere. */
export function useAgent(setting: Setting): () => AgentProcess {
  let agent: AgentProcess | undefined;
  let whyNot: string | undefined;
  beforeAll(async () => {
    agent = await AgentProcess.start(setting);
    whyNot = await agent.whyNot();
  });
  afterAll(() => agent?.stop());
  beforeEach((context) => {
    if (whyNot === undefined) return;
    if (process.env.CI === 'true') throw new Error(`${setting.method} does not work here: ${whyNot}`);
    context.skip(`${setting.method} does not work here: ${whyNot}`);
  });
  return () => agent!;
}
