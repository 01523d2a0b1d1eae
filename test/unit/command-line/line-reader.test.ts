import { describe, expect, it } from 'vitest';
import { FleetView } from '../../../cli/fleet-view.ts';
import { lineReader, MAX_LINE } from '../../../cli/line-reader.ts';

function linesOf(...chunks: readonly string[]): readonly string[] {
  const lines: string[] = [];
  const read = lineReader((line) => lines.push(line));
  for (const chunk of chunks) read(chunk);
  return lines;
}

describe('lines of a program that nobody vouches for', () => {
  it('are cut where they end, however they arrive', () => {
    expect(linesOf('{"a":', '1}\n{"b":2}\n', '\nlast')).toEqual(['{"a":1}', '{"b":2}', '']);
  });

  it('are read up to the bound, and skipped whole beyond it', () => {
    const longest = 'x'.repeat(MAX_LINE);
    expect(linesOf(`${longest}\n${longest}x\nnext\n`)).toEqual([longest, 'next']);
  });

  it('that have no end are skipped until there is one (I9)', () => {
    const piece = 'x'.repeat(MAX_LINE);
    expect(linesOf(piece, piece, 'x', piece, 'tail\nnext\n')).toEqual(['next']);
  });
});

describe('what agents say on the terminal', () => {
  it('cannot command the terminal (I7)', () => {
    const seen: string[] = [];
    const view = new FleetView((agent) => seen.push(agent.isolation));
    view.line(0, { kind: 'isolation', method: `\u001b]0;owned\u0007\u001b[2J\u009b31m${'x'.repeat(500)}` });
    expect(seen).toEqual([`]0;owned[2J31m${'x'.repeat(64 - 14)}`]);
  });
});
