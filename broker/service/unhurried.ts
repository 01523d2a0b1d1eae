import type { Command, Outcome } from '../core/command.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';

/** Longest wait of a command for company. */
const WAIT_MS = 25;

/**
 * The way to the ledger for what nobody waits for: such commands go together, so that they neither cost a sync each nor keep
 * somebody who waits behind one. Lost in a crash they are found to be due again.
 */
export interface Unhurried {
  /** As the ledger's own `apply` for one command, up to 25 ms later. */
  apply(command: Command): Promise<Outcome | undefined>;
  /** Gives the ledger at once what waits. */
  stop(): void;
}

interface Waiting {
  readonly command: Command;
  readonly resolve: (outcome: Promise<Outcome | undefined>) => void;
}

export function createUnhurried(clock: Clock, ledger: Ledger): Unhurried {
  let waiting: Waiting[] = [];
  let cancel: Cancel | undefined;

  function flush(): void {
    cancel = undefined;
    const all = waiting;
    waiting = [];
    const outcomes = ledger.apply(all.map(({ command }) => command));
    for (const [index, { resolve }] of all.entries()) resolve(outcomes.then((done) => done[index]));
  }

  return {
    apply(command) {
      cancel ??= clock.schedule(WAIT_MS, flush);
      return new Promise((resolve) => waiting.push({ command, resolve }));
    },
    stop() {
      cancel?.();
      if (waiting.length > 0) flush();
    },
  };
}
