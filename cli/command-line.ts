import { CoPilotError, toCoPilotError } from '../protocol/errors.ts';

/** Exit codes of every command, after sysexits.h; docs/operator.md lists them. */
export const EXIT = {
  ok: 0,
  /** The command worked, and what it waited for failed. */
  failed: 1,
  usage: 64,
  /** The file given is wrong, and it says where; or what is asked for cannot be asked. */
  data: 65,
  noInput: 66,
  /** Nothing answers: start `co-pilot up`. */
  unavailable: 69,
  internal: 70,
  /** A port or directory is taken, or what was asked conflicts with what is there. */
  cannotCreate: 73,
  /** The disk is full, or what lies on it is damaged; it was left as it is. */
  disk: 74,
  noPermission: 77,
  /** The machine lacks something, such as a way to isolate jobs. */
  configuration: 78,
  interrupted: 130,
} as const;

const CODES: Readonly<Record<string, number>> = {
  INVALID_CAMPAIGN: EXIT.data,
  INVALID_REQUEST: EXIT.data,
  CLASSAD_SYNTAX: EXIT.data,
  NOT_FOUND: EXIT.noInput,
  UNREACHABLE: EXIT.unavailable,
  TIMEOUT: EXIT.unavailable,
  BUS_CLOSED: EXIT.unavailable,
  PORT_TAKEN: EXIT.cannotCreate,
  CONFLICT: EXIT.cannotCreate,
  LEDGER_IN_USE: EXIT.cannotCreate,
  QUEUE_IN_USE: EXIT.cannotCreate,
  STORAGE_IN_USE: EXIT.cannotCreate,
  LEDGER_CORRUPT: EXIT.disk,
  LEDGER_FULL: EXIT.disk,
  LEDGER_UNAVAILABLE: EXIT.disk,
  QUEUE_CORRUPT: EXIT.disk,
  QUEUE_FULL: EXIT.disk,
  QUEUE_UNAVAILABLE: EXIT.disk,
  STORAGE_CORRUPT: EXIT.disk,
  STORAGE_FULL: EXIT.disk,
  DIGEST_MISMATCH: EXIT.disk,
  NOT_AUTHORIZED: EXIT.noPermission,
  REVOKED: EXIT.noPermission,
  ENROLMENT_REFUSED: EXIT.noPermission,
  INVALID_CONFIGURATION: EXIT.configuration,
  NO_ISOLATION: EXIT.configuration,
};

/** How a command talks: results on standard output, everything else on standard error. */
export interface Output {
  readonly json: boolean;
  /** A line of JSON for each thing, where there are several. */
  readonly jsonl: boolean;
  /** Nothing on standard error but errors. */
  readonly quiet: boolean;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

export function createOutput(
  json: boolean,
  { jsonl = false, quiet = false }: { readonly jsonl?: boolean; readonly quiet?: boolean } = {},
): Output {
  return {
    json,
    jsonl,
    quiet,
    write: (text) => process.stdout.write(`${text}\n`),
    note(text) {
      if (!quiet) process.stderr.write(`${text}\n`);
    },
  };
}

/** Shows a result: one JSON document with `--json`, lines for people otherwise. */
export function show(output: Output, value: object, lines: () => readonly string[]): void {
  output.write(output.json || output.jsonl ? JSON.stringify(value) : lines().join('\n'));
}

/** Shows an error once and gives the exit code that belongs to it. */
export function fail(output: Output, caught: unknown): number {
  const error = toCoPilotError(caught);
  const isMachineRead = output.json || output.jsonl;
  if (isMachineRead) output.write(JSON.stringify({ error: { code: error.code, message: error.message } }));
  else process.stderr.write(`co-pilot: ${error.message} [${error.code}]\n`);
  if (error.code === 'INTERNAL' && caught instanceof Error && !(caught instanceof CoPilotError))
    process.stderr.write(`${caught.stack ?? ''}\n`);
  return exitCodeOf(error);
}

export function exitCodeOf({ code }: CoPilotError): number {
  return CODES[code] ?? EXIT.internal;
}

/** A table with aligned columns; numbers to the right. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): readonly string[] {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => (row[column] ?? '').length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
