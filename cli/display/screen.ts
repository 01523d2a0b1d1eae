import type { DisplayStream } from './display.ts';

/** Shows lines, and later others in their place. */
export interface Screen {
  show(lines: readonly string[]): void;
}

const DEFAULT_COLUMNS = 80;
const DEFAULT_ROWS = 24;
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/** Whether a stream is a terminal that can draw in place. */
export function isTerminal(
  stream: Pick<DisplayStream, 'isTTY'>,
  environment: Readonly<Record<string, string | undefined>>,
): boolean {
  return stream.isTTY === true && environment['TERM'] !== 'dumb';
}

/** Draws in place: lines are cut to the terminal, and one line says how many do not fit. Texts must be plain. */
export function createScreen(stream: DisplayStream): Screen {
  let drawnLines = 0;
  return {
    show(lines) {
      const columns = (stream.columns ?? DEFAULT_COLUMNS) - 1;
      const fitting = fittingLines(lines, (stream.rows ?? DEFAULT_ROWS) - 1);
      const home = drawnLines === 0 ? '' : `\u001b[${drawnLines}A`;
      const picture = fitting.map((line) => `${line.slice(0, columns)}${ERASE_LINE_END}\n`).join('');
      stream.write(`${home}${picture}${ERASE_BELOW}`);
      drawnLines = fitting.length;
    },
  };
}

function fittingLines(lines: readonly string[], rows: number): readonly string[] {
  if (lines.length <= rows) return lines;
  return [...lines.slice(0, rows - 1), `… and ${lines.length - rows + 1} more`];
}
