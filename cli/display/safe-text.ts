/** What moves a cursor, changes colours or turns the direction of writing; lines and tabs stay. */
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** A text of several lines from anywhere, made safe for a terminal: in every script, and without a word that a terminal acts on. */
export function safeText(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(CONTROLS, '?');
}

/** As `safeText`, on one line. */
export function safeLine(text: string): string {
  return safeText(text).replaceAll(/[\n\t]/g, ' ');
}
