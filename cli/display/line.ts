export type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

/** A piece of a line in one style. */
export interface Segment {
  readonly text: string;
  readonly style?: Style;
}

const CODES: Readonly<Record<Style, string>> = {
  bold: '\u001b[1m',
  dim: '\u001b[2m',
  green: '\u001b[32m',
  yellow: '\u001b[33m',
  red: '\u001b[31m',
  cyan: '\u001b[36m',
};
const PLAIN = '\u001b[0m';

/** Characters one column wide that no terminal acts on; everything else, all sequences of control included, is replaced. */
const UNSAFE = /[^ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2500-\u259f]/g;

/** A text from anywhere, made safe for a terminal and a log: one line of plain characters, each one column wide. */
export function plainText(text: string): string {
  return text.slice(0, 1024).replace(UNSAFE, '?');
}

/** Segments as one line of at most `columns` columns. Texts must be plain. */
export function styledLine(segments: readonly Segment[], columns: number, colour: boolean): string {
  let left = columns;
  let line = '';
  for (const { text, style } of segments) {
    const cut = text.slice(0, Math.max(0, left));
    left -= cut.length;
    if (cut === '') continue;
    line += colour && style !== undefined ? `${CODES[style]}${cut}${PLAIN}` : cut;
  }
  return line;
}

/** A text of exactly `columns` columns: cut with an ellipsis or filled with spaces. */
export function fitted(text: string, columns: number): string {
  return text.length > columns ? `${text.slice(0, Math.max(0, columns - 1))}…` : text.padEnd(columns);
}
