import type { Clock } from '../protocol/runtime/runtime.ts';
import type { DisplayStream } from './display/display.ts';
import { isTerminal } from './display/screen.ts';

/** How far something long has come, on standard error. */
export interface ProgressLine {
  update(text: string): void;
  /** Takes the line away from a terminal. */
  end(): void;
}

const DRAWN_EVERY_MS = 200;
const SAID_EVERY_MS = 10_000;
const ERASE_LINE = '\r\u001b[K';

export interface ProgressLineOptions {
  readonly stream: DisplayStream;
  readonly clock: Clock;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly quiet: boolean;
}

/** On a terminal one line that is drawn over; elsewhere a line every ten seconds; nothing where quiet is wanted. */
export function createProgressLine({ stream, clock, environment, quiet }: ProgressLineOptions): ProgressLine {
  if (quiet) return { update: () => undefined, end: () => undefined };
  const inPlace = isTerminal(stream, environment);
  const everyMs = inPlace ? DRAWN_EVERY_MS : SAID_EVERY_MS;
  let lastMs = clock.monotonicMs() - (inPlace ? everyMs : 0);
  let isDrawn = false;
  return {
    update(text) {
      if (clock.monotonicMs() - lastMs < everyMs) return;
      lastMs = clock.monotonicMs();
      isDrawn = inPlace;
      stream.write(inPlace ? `${ERASE_LINE}${text.slice(0, (stream.columns ?? 80) - 1)}` : `${text}\n`);
    },
    end() {
      if (isDrawn) stream.write(ERASE_LINE);
      isDrawn = false;
    },
  };
}
