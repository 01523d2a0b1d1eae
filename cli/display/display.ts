import type { Cancel, Clock } from '../../protocol/runtime/runtime.ts';
import { plainText } from './line.ts';
import { newsOf, nothingTold } from './news.ts';
import { render } from './render.ts';
import type { DisplayState } from './state.ts';

/** Where the display writes: a terminal, a file, a pipe. */
export interface DisplayStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  /** True while what was written waits for a slow reader: the next picture is left out. */
  readonly writableNeedDrain?: boolean;
}

export interface Display {
  /** Shows a new state: on a terminal in place, at most five times a second; elsewhere a line for each change of note. */
  update(state: DisplayState): void;
  /** A line that stays, above what is redrawn. */
  note(text: string): void;
  /** Draws the last state, gives the cursor back and stops; idempotent, later calls do nothing. */
  close(): void;
}

export interface DisplayOptions {
  readonly stream: DisplayStream;
  readonly clock: Clock;
  /** `NO_COLOR` (https://no-color.org) turns colours off, `TERM=dumb` also the drawing in place. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const FRAME_MS = 200;
const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

export function createDisplay(options: DisplayOptions): Display {
  const { stream, environment } = options;
  return stream.isTTY === true && environment['TERM'] !== 'dumb'
    ? createLiveDisplay(options)
    : createPlainDisplay(stream);
}

function createPlainDisplay(stream: DisplayStream): Display {
  let told = nothingTold;
  let closed = false;
  return {
    update(state) {
      if (closed) return;
      const news = newsOf(state, told);
      told = news.told;
      for (const line of news.lines) stream.write(`${line}\n`);
    },
    note(text) {
      if (!closed) stream.write(`${plainText(text)}\n`);
    },
    close() {
      closed = true;
    },
  };
}

function createLiveDisplay({ stream, clock, environment }: DisplayOptions): Display {
  const colour = (environment['NO_COLOR'] ?? '') === '';
  let state: DisplayState | undefined;
  let drawnLines = 0;
  let drawnMs = Number.NEGATIVE_INFINITY;
  let timer: Cancel | undefined;
  let closed = false;

  /** To the start of what is drawn. */
  const home = (): string => (drawnLines === 0 ? '' : `\u001b[${drawnLines}A`);
  const picture = (): string => {
    if (state === undefined) return '';
    // One column and one row stay free: a full last line would make the terminal scroll, and every picture leave a ghost.
    const lines = render(state, (stream.columns ?? DEFAULT_COLUMNS) - 1, colour).slice(
      0,
      (stream.rows ?? DEFAULT_ROWS) - 1,
    );
    drawnLines = lines.length;
    return lines.map((line) => `${line}${ERASE_LINE_END}\n`).join('');
  };
  const draw = (): void => {
    const start = home();
    stream.write(`${HIDE_CURSOR}${start}${picture()}${ERASE_BELOW}`);
    drawnMs = clock.monotonicMs();
  };
  const drawDue = (): void => {
    timer = undefined;
    if (stream.writableNeedDrain === true) timer = clock.schedule(FRAME_MS, drawDue);
    else draw();
  };

  return {
    update(next) {
      if (closed) return;
      state = next;
      timer ??= clock.schedule(Math.max(0, drawnMs + FRAME_MS - clock.monotonicMs()), drawDue);
    },
    note(text) {
      if (closed) return;
      const start = home();
      stream.write(`${start}${plainText(text)}${ERASE_LINE_END}\n${picture()}${ERASE_BELOW}`);
    },
    close() {
      if (closed) return;
      closed = true;
      timer?.();
      if (state !== undefined) draw();
      stream.write(SHOW_CURSOR);
    },
  };
}
