/**
 * Reads what `strace -f -y -ttt -xx` writes. Every string is in hex, so none holds a comma, a quote or a bracket.
 */

/** One system call: where in the trace it began and ended, and what it was. */
export interface SystemCall {
  readonly start: number;
  /** After `start` where other threads did something meanwhile; undefined where the process died in it. */
  readonly end: number | undefined;
  /** Wall time of its beginning, in milliseconds. */
  readonly atMs: number;
  readonly name: string;
  readonly arguments: string;
  /** What it answered, with the path of a descriptor behind it; empty where it did not return. */
  readonly result: string;
}

const WHOLE = /^(\d+) +(\d+\.\d+) (\w+)\((.*)\) += (.*)$/;
const BEGUN = /^(\d+) +(\d+\.\d+) (\w+)\((.*?) ?<unfinished \.\.\.>$/;
/** A call in which the process was killed. */
const NEVER_ENDED = /^\?/;
const RESUMED = /^(\d+) +\d+\.\d+ <\.\.\. \w+ resumed>(.*)\) += (.*)$/;
/** Threads and processes that end, and signals. */
const OTHER = /^\d+ +\d+\.\d+ (?:\+\+\+|---) /;

/** The calls in the order they began. Throws where a line is none that strace writes: such a trace proves nothing. */
export function readTrace(text: string): readonly SystemCall[] {
  const calls: SystemCall[] = [];
  const begun = new Map<string, number>();
  for (const [at, line] of text.split('\n').entries()) {
    const whole = WHOLE.exec(line);
    const resumed = RESUMED.exec(line);
    const cut = BEGUN.exec(line);
    if (resumed !== null) {
      const [, thread = '', rest = '', result = ''] = resumed;
      const index = begun.get(thread);
      const call = index === undefined ? undefined : calls[index];
      if (index === undefined || call === undefined) throw new Error(`nothing to resume: ${short(line)}`);
      calls[index] = { ...call, ...ended(at, result), arguments: call.arguments + rest };
      begun.delete(thread);
    } else if (cut !== null) {
      const [, thread = '', seconds = '', name = '', given = ''] = cut;
      begun.set(thread, calls.length);
      calls.push({ start: at, end: undefined, atMs: millis(seconds), name, arguments: given, result: '' });
    } else if (whole !== null) {
      const [, , seconds = '', name = '', given = '', result = ''] = whole;
      calls.push({ start: at, ...ended(at, result), atMs: millis(seconds), name, arguments: given });
    } else if (line !== '' && !OTHER.test(line)) throw new Error(`no line of a trace: ${short(line)}`);
  }
  return calls;
}

function ended(at: number, result: string): Pick<SystemCall, 'end' | 'result'> {
  return NEVER_ENDED.test(result) ? { end: undefined, result: '' } : { end: at, result };
}

/** The bytes of every string in a call's arguments. Throws where strace cut one short. */
export function stringsIn(text: string): readonly Buffer[] {
  if (/"\.\.\./.test(text)) throw new Error('the trace holds a string that was cut short');
  return [...text.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, hex = '']) => bytesOf(hex));
}

/** What stands behind the descriptor at the beginning of a text: a path, or a word for a pipe or a socket. */
export function describedIn(
  text: string,
): { readonly descriptor: number; readonly path: string } | undefined {
  const [, descriptor, hex] = /^(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>/.exec(text) ?? [];
  if (descriptor === undefined || hex === undefined) return undefined;
  return { descriptor: Number(descriptor), path: bytesOf(hex).toString('utf8') };
}

function bytesOf(hex: string): Buffer {
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

function millis(seconds: string): number {
  return Number(seconds) * 1000;
}

function short(line: string): string {
  return line.slice(0, 200);
}
