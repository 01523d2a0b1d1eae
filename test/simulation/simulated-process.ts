import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import type { Cancel, Clock, Log, Runtime } from '../../protocol/runtime/runtime.ts';
import { createSeededRandom } from '../doubles/seeded-random.ts';

/** One start of one simulated program: its runtime works until it dies, and then nothing it scheduled happens. */
export interface SimulatedProcess {
  readonly runtime: Runtime;
  kill(): void;
  /** As SIGSTOP and SIGCONT: what falls due meanwhile happens afterwards. */
  pause(): void;
  resume(): void;
}

/** Lines of what the programs logged, for the report of a seed that failed. */
export type Journal = (line: string) => void;

export function simulatedProcess(
  name: string,
  clock: Clock,
  seed: number,
  journal: Journal,
): SimulatedProcess {
  let state: 'running' | 'paused' | 'dead' = 'running';
  let held: (() => void)[] = [];
  const random = createSeededRandom(seed);

  function schedule(delayMs: number, action: () => void): Cancel {
    let isCancelled = false;
    const run = (): void => {
      if (isCancelled || state === 'dead') return;
      if (state === 'paused') held.push(run);
      else action();
    };
    const cancel = clock.schedule(delayMs, run);
    return () => {
      isCancelled = true;
      cancel();
    };
  }

  const write =
    (level: string) =>
    (fields: object, message: string): void => {
      if (state !== 'dead')
        journal(`${clock.monotonicMs()} ${name} ${level} ${message} ${JSON.stringify(fields)}`);
    };
  const log: Log = {
    debug: () => undefined,
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
  };

  return {
    runtime: {
      clock: { wallMs: () => clock.wallMs(), monotonicMs: () => clock.monotonicMs(), schedule },
      random,
      crypto: createCrypto(random),
      log,
    },
    kill() {
      state = 'dead';
      held = [];
    },
    pause() {
      if (state === 'running') state = 'paused';
    },
    resume() {
      if (state !== 'paused') return;
      state = 'running';
      for (const run of held.splice(0)) run();
    },
  };
}
