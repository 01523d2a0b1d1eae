import { randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe } from 'vitest';
import { detectIsolation } from '../../../agent/executors/detect-isolation.ts';
import { removeJobDirectory } from '../../../agent/executors/job-directory.ts';
import type { IsolationMethod } from '../../../agent/executors/launcher.ts';
import { createProcessLauncher } from '../../../agent/executors/process-launcher.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { launcherConformance, type LauncherUnderTest } from '../../conformance/launcher.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { isRoot } from './agent-process.ts';

/** Only root has other uids to give to jobs. */
const methods: readonly IsolationMethod[] = [
  'bubblewrap',
  'unshare',
  ...(isRoot ? ['uid' as const] : []),
  'none',
];

describe.each(methods)('launcher contract: %s', (method) => {
  let whyNot: string | undefined;
  beforeAll(async () => {
    const { kind, attempts } = await detectIsolation(method, { clock: nodeClock });
    whyNot = kind === 'found' ? undefined : attempts.map(({ reason }) => reason).join('; ');
  });
  beforeEach((context) => {
    if (whyNot === undefined) return;
    if (process.env.CI === 'true') throw new Error(`${method} does not work here: ${whyNot}`);
    context.skip(`${method} does not work here: ${whyNot}`);
  });
  launcherConformance(() => onDisk(method));
});

async function onDisk(method: IsolationMethod): Promise<LauncherUnderTest> {
  const base = await mkdtemp(join(await realpath(tmpdir()), 'co-pilot-launcher-'));
  await chmod(base, 0o711);
  let places = 0;
  return {
    // Few, so that a launch that keeps one for good is found out; at random, since other runs may take theirs now.
    launcher: createProcessLauncher(method, {
      clock: nodeClock,
      uids: { first: randomInt(3e5, 4e5), count: 8 },
    }),
    async place() {
      const workDirectory = join(base, `work-${++places}`);
      await mkdir(workDirectory, { mode: 0o700 });
      return { workDirectory, stdoutFile: `${workDirectory}.out`, stderrFile: `${workDirectory}.err` };
    },
    begun: ({ workDirectory }) =>
      eventuallyTrue('the job to begin', () => existsSync(join(workDirectory, 'ready')), 15_000),
    ended: (running) => running.exited,
    dispose: () => removeJobDirectory(base),
  };
}
