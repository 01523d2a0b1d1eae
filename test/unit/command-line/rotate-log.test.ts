import { appendFileSync, closeSync, openSync, readdirSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rotateLog } from '../../../cli/rotate-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const BOUNDS = { maxBytes: 1_000, olderFiles: 3 };
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await temporaryDirectory('log');
  path = join(folder, 'log');
});
afterEach(() => removeDirectory(folder));

describe('a log', () => {
  it('below its bound, or not there at all, is left alone', () => {
    expect(rotateLog(path, BOUNDS)).toBe(false);
    appendFileSync(path, 'x'.repeat(1_000));
    expect(rotateLog(path, BOUNDS)).toBe(false);
    expect(readdirSync(folder)).toEqual(['log']);
  });

  it('is bounded in all however much is written, loses no line at a turn, and goes on in the open file', () => {
    const open = openSync(path, 'a');
    const line = (at: number): string => `{"line":${String(at).padStart(6, '0')}}\n`;
    for (let at = 0; at < 2_000; at += 1) {
      writeSync(open, line(at));
      rotateLog(path, BOUNDS);
    }
    closeSync(open);
    expect(readdirSync(folder).sort()).toEqual(['log', 'log.1', 'log.2', 'log.3']);
    const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(4 * (BOUNDS.maxBytes + 20));
    const kept = ['log.3', 'log.2', 'log.1', 'log']
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('');
    const first = Number(/(\d{6})/.exec(kept)?.[1]);
    expect(kept).toBe(Array.from({ length: 2_000 - first }, (_, at) => line(first + at)).join(''));
  });
});
