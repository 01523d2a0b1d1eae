import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Output } from '../../../cli/command-line.ts';
import type { ControlClient, StreamLine } from '../../../cli/control-client.ts';
import type { DisplayStream } from '../../../cli/display/display.ts';
import { safeLine, safeText } from '../../../cli/display/safe-text.ts';
import { createScreen } from '../../../cli/display/screen.ts';
import { type Listing, showListing } from '../../../cli/listing.ts';
import { createProgressLine } from '../../../cli/progress-line.ts';
import { queueChanges, watch } from '../../../cli/watch.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

interface Thing {
  readonly id: string;
  readonly count: number;
}

let written: string[];
let drawn: string[];
let term: string | undefined;

beforeEach(() => {
  written = [];
  drawn = [];
  term = process.env['TERM'];
  process.env['TERM'] = 'xterm';
});
afterEach(() => {
  if (term === undefined) delete process.env['TERM'];
  else process.env['TERM'] = term;
});

function output(format: Partial<Output> = {}): Output {
  return {
    ...{ json: false, jsonl: false, quiet: false, note: () => undefined },
    write: (text) => written.push(text),
    ...format,
  };
}

function stream(more: Partial<DisplayStream> = {}): DisplayStream {
  return { write: (text: string) => drawn.push(text), ...more };
}

function listing(...items: readonly Thing[]): Listing<Thing> {
  return {
    ...{ name: 'things', items, header: ['ID', 'COUNT'] },
    row: ({ id, count }) => [id, String(count)],
    key: ({ id }) => id,
  };
}

/** One look for each of these. */
function looks(...pictures: readonly Listing<Thing>[]) {
  const left = [...pictures];
  return {
    look: async () => left.shift() ?? listing(),
    changes: async function* () {
      for (let more = pictures.length; more > 0; more--) yield;
    },
  };
}

const never = new AbortController().signal;

describe('a watched list', () => {
  const first = listing({ id: 'a', count: 1 }, { id: 'b', count: 1 });
  const second = listing({ id: 'a', count: 1 }, { id: 'b', count: 2 });

  it('with --jsonl is a line for each thing that changed', async () => {
    await watch(output({ jsonl: true }), stream(), looks(first, first, second), never);
    expect(written).toEqual(['{"id":"a","count":1}', '{"id":"b","count":1}', '{"id":"b","count":2}']);
  });

  it('without a terminal is the lines that are new, and no code moves a cursor', async () => {
    await watch(output(), stream(), looks(first, first, second), never);
    expect(written).toEqual(['ID  COUNT', 'a   1', 'b   1', 'b   2']);
    expect(drawn).toEqual([]);
  });

  it('on a terminal is drawn in place; on a dumb one not', async () => {
    await watch(output(), stream({ isTTY: true }), looks(first, second), never);
    expect(written).toEqual([]);
    expect(drawn).toHaveLength(2);
    expect(drawn[1]).toMatch(/^\u001b\[3AID {2}COUNT\u001b\[K\n/);
    process.env['TERM'] = 'dumb';
    await watch(output(), stream({ isTTY: true }), looks(first), never);
    expect(written).toHaveLength(3);
  });

  it('ends when it is over, and is no one document', async () => {
    const isOver = (items: readonly Thing[]): boolean => items.some(({ count }) => count === 2);
    await watch(output({ jsonl: true }), stream(), { ...looks(second, first), isOver }, never);
    expect(written).toHaveLength(2);
    await expect(watch(output({ json: true }), stream(), looks(first), never)).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
  });

  it('looks again when the queue tells of a change, and when its stream breaks', async () => {
    const lines: ((line: StreamLine | undefined) => void)[] = [];
    let opened = 0;
    const queue: Pick<ControlClient, 'events'> = {
      async *events(_campaign, signal) {
        opened += 1;
        const ended = new Promise<undefined>((end) => signal.addEventListener('abort', () => end(undefined)));
        for (;;) {
          const line = await Promise.race([
            ended,
            new Promise<StreamLine | undefined>((hear) => lines.push(hear)),
          ]);
          if (signal.aborted) return;
          if (line === undefined) throw new CoPilotError('UNREACHABLE', 'gone');
          yield line;
        }
      },
    };
    const stop = new AbortController();
    const changes = queueChanges(queue, undefined, stop.signal);
    await changes.next();
    lines.shift()?.({ kind: 'lagged' });
    expect((await changes.next()).done).toBe(false);
    lines.shift()?.(undefined);
    expect((await changes.next()).done).toBe(false);
    stop.abort();
    expect((await changes.next()).done).toBe(true);
    expect(opened).toBe(1);
  });
});

describe('a list', () => {
  it('is a document, lines or a table; nothing is said to be nothing', () => {
    const two = listing({ id: 'a', count: 1 }, { id: 'bb', count: 20 });
    showListing(output({ json: true }), two);
    showListing(output({ jsonl: true }), two);
    showListing(output(), two);
    showListing(output(), listing());
    expect(written).toEqual([
      '{"things":[{"id":"a","count":1},{"id":"bb","count":20}]}',
      ...['{"id":"a","count":1}', '{"id":"bb","count":20}'],
      ...['ID  COUNT\na   1\nbb  20', 'no things'],
    ]);
  });

  it('I7 shows nothing that a terminal acts on', () => {
    showListing(output(), listing({ id: '\u001b[2J\u009b31m\u202egnp.exe\nx', count: 1 }));
    expect(written[0]).toBe('ID                  COUNT\n?[2J?31m?gnp.exe x  1');
    expect(safeText('Grüße, 世界\r\n\tok\u0007')).toBe('Grüße, 世界\n\tok?');
    expect(safeLine('a\nb\tc')).toBe('a b c');
  });
});

describe('a screen', () => {
  it('cuts what does not fit, and says how much that is', () => {
    const lines = Array.from({ length: 9 }, (_, at) => `line ${at} that is long`);
    createScreen(stream({ columns: 8, rows: 5 })).show(lines);
    expect(drawn[0]?.replaceAll('\u001b[K', '')).toBe('line 0 \nline 1 \nline 2 \n… and 6\n\u001b[J');
  });
});

describe('progress', () => {
  const texts = ['1 of 3', '2 of 3', '3 of 3'];

  it('is one line on a terminal, drawn at most five times a second and taken away in the end', () => {
    const clock = createManualClock();
    const environment = { TERM: 'xterm' };
    const line = createProgressLine({ stream: stream({ isTTY: true }), clock, environment, quiet: false });
    for (const text of texts) {
      line.update(text);
      clock.advance(150);
    }
    line.end();
    expect(drawn).toEqual(['\r\u001b[K1 of 3', '\r\u001b[K3 of 3', '\r\u001b[K']);
  });

  it('is a line every ten seconds elsewhere, and nothing where quiet is wanted', () => {
    const clock = createManualClock();
    const line = createProgressLine({ stream: stream(), clock, environment: {}, quiet: false });
    for (const text of texts) {
      clock.advance(6_000);
      line.update(text);
    }
    line.end();
    expect(drawn).toEqual(['2 of 3\n']);
    const quiet = createProgressLine({
      stream: stream({ isTTY: true }),
      clock,
      environment: {},
      quiet: true,
    });
    quiet.update('1 of 3');
    quiet.end();
    expect(drawn).toHaveLength(1);
  });
});
