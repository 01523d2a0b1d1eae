import { describe } from 'vitest';
import type { Exit } from '../../../agent/executors/launcher.ts';
import { createMemoryLauncher } from '../../../agent/executors/memory-launcher.ts';
import { launcherConformance, scriptedJob } from '../../conformance/launcher.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

describe('launcher contract: memory', () => {
  launcherConformance(async () => {
    const clock = createManualClock();
    let places = 0;
    return {
      launcher: createMemoryLauncher({ clock, script: scriptedJob }),
      async place() {
        const workDirectory = `/jobs/${++places}`;
        return { workDirectory, stdoutFile: `${workDirectory}.out`, stderrFile: `${workDirectory}.err` };
      },
      begun: () => clock.run(10),
      async ended(running) {
        const ends: Exit[] = [];
        void running.exited.then((exit) => ends.push(exit));
        await clock.run(0);
        for (let waitedMs = 0; waitedMs < 120_000 && ends.length === 0; waitedMs += 50) await clock.run(50);
        const [exit] = ends;
        if (exit !== undefined) return exit;
        throw new Error('the job did not end');
      },
      dispose: () => Promise.resolve(),
    };
  });
});
