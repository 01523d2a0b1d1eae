import { describe, expect, it } from 'vitest';
import { changesBelow } from '../../crash-images/file-change.ts';
import { createPowerCutDisk, ONLY_SYNCED, type Survives, type Tree } from '../../crash-images/power-cut.ts';
import { readTrace } from '../../crash-images/trace-line.ts';

const ROOT = '/d';

function hex(text: string): string {
  return [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
}

/** A line as strace writes it, from one where `'…'` is a string and `<…>` a path. */
function line(thread: number, text: string): string {
  const strings = text.replace(/'([^']*)'/g, (_, given: string) => `"${hex(given)}"`);
  const paths = strings.replace(/<(\/[^>]*|[a-z]+:[^>]*)>/g, (_, given: string) => `<${hex(given)}>`);
  return `${thread} 100.000001 ${paths}`;
}

function written(name: string, text: string, offset = 0): string {
  return line(1, `pwrite64(5</d/${name}>, '${text}', ${text.length}, ${offset}) = ${text.length}`);
}

function made(name: string): string {
  return line(1, `openat(AT_FDCWD</>, '/d/${name}', O_WRONLY|O_CREAT, 0600) = 5</d/${name}>`);
}

function synced(name: string): string {
  return line(1, `fsync(5</d${name}>) = 0`);
}

const DIRECTORY_SYNCED = synced('');

function imageAfter(lines: readonly string[], survives: Survives = ONLY_SYNCED, base: Tree = new Map()) {
  const disk = createPowerCutDisk(ROOT, base, changesBelow(readTrace(lines.join('\n')), ROOT));
  disk.runTo(lines.length);
  return textsOf(disk.image(survives));
}

function textsOf(tree: Tree): Readonly<Record<string, string | null>> {
  return Object.fromEntries([...tree].map(([name, bytes]) => [name, bytes?.toString() ?? null]));
}

describe('after a power cut', () => {
  it('a file is there with the bytes synced, once its directory was synced too', () => {
    const before = [made('a'), written('a', 'one'), synced('/a')];
    expect(imageAfter(before)).toEqual({});
    expect(imageAfter([...before, DIRECTORY_SYNCED, written('a', 'two')])).toEqual({ a: 'one' });
  });

  it('a name that was synced before its bytes were is that of an empty file', () => {
    expect(imageAfter([made('a'), written('a', 'one'), DIRECTORY_SYNCED])).toEqual({ a: '' });
  });

  it('a sync counts for nothing before it has ended, nor for what was written after it began', () => {
    const lines = [
      made('a'),
      DIRECTORY_SYNCED,
      written('a', 'one'),
      line(2, 'fdatasync(7</d/a> <unfinished ...>'),
      written('a', 'two', 3),
      line(2, '<... fdatasync resumed>) = 0'),
    ];
    expect(imageAfter(lines.slice(0, 5))).toEqual({ a: '' });
    expect(imageAfter(lines)).toEqual({ a: 'one' });
  });

  it('a sync that failed counts for nothing', () => {
    const failed = line(1, 'fsync(5</d/a>) = -1 EIO (Input/output error)');
    expect(imageAfter([made('a'), DIRECTORY_SYNCED, written('a', 'one'), failed])).toEqual({ a: '' });
  });

  it('a rename, a removal and a shorter length are undone where they were not synced', () => {
    const base: Tree = new Map([
      ['a', Buffer.from('old')],
      ['b', Buffer.from('other')],
      ['c', Buffer.from('long')],
    ]);
    const lines = [
      line(1, `rename('/d/a', '/d/b') = 0`),
      line(1, `unlinkat(AT_FDCWD</d>, 'c', 0) = 0`),
      line(1, `ftruncate(5</d/b>, 1) = 0`),
    ];
    expect(imageAfter(lines, ONLY_SYNCED, base)).toEqual({ a: 'old', b: 'other', c: 'long' });
    expect(imageAfter([...lines, DIRECTORY_SYNCED], ONLY_SYNCED, base)).toEqual({ b: 'old' });
    expect(imageAfter([...lines, synced('/b'), DIRECTORY_SYNCED], ONLY_SYNCED, base)).toEqual({ b: 'o' });
  });

  it('what lies in a directory is there only with the directory itself', () => {
    const lines = [
      line(1, `mkdir('/d/sub', 0700) = 0`),
      line(1, `openat(AT_FDCWD</>, '/d/sub/a', O_WRONLY|O_CREAT|O_APPEND, 0600) = 5</d/sub/a>`),
      line(1, `write(5</d/sub/a>, 'one', 3) = 3`),
      line(1, `writev(5</d/sub/a>, [{iov_base='tw', iov_len=2}, {iov_base='o', iov_len=1}], 2) = 3`),
      line(1, 'fsync(5</d/sub/a>) = 0'),
      line(1, 'fsync(6</d/sub>) = 0'),
    ];
    expect(imageAfter(lines)).toEqual({});
    expect(imageAfter([...lines, DIRECTORY_SYNCED])).toEqual({ sub: null, 'sub/a': 'onetwo' });
  });

  it('sectors of a write that nobody synced may be there one by one', () => {
    const whole = 'x'.repeat(512) + 'y'.repeat(512) + 'z';
    const answers = [false, true, false];
    const image = imageAfter(
      [made('a'), DIRECTORY_SYNCED, written('a', whole)],
      () => answers.shift() ?? false,
    );
    expect(image).toEqual({ a: '\0'.repeat(512) + 'y'.repeat(512) });
  });

  it('everything may be there that was written', () => {
    expect(imageAfter([made('a'), written('a', 'one')], () => true)).toEqual({ a: 'one' });
  });
});

describe('a trace', () => {
  it.each([
    ['a line that strace does not write', 'strace: ptrace: Operation not permitted'],
    ['a string that was cut short', `1 100.0 pwrite64(5<${hex('/d/a')}>, "\\x61"..., 9, 0) = 9`],
    ['an end without a beginning', line(1, '<... fsync resumed>) = 0')],
    ['writes through memory', line(1, 'mmap(NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 5</d/a>, 0) = 0x7f')],
    ['a copy that the model does not know', line(1, 'sendfile(5</d/a>, 6</d/b>, NULL, 9) = 9')],
  ])('with %s is refused', (_, text) => {
    expect(() => changesBelow(readTrace(text), ROOT)).toThrow();
  });

  it('of other directories changes nothing, nor do calls that failed', () => {
    const lines = [
      line(1, `rename('/e/a', '/e/b') = 0`),
      line(1, `mkdir('/d/a', 0700) = -1 EEXIST (File exists)`),
      line(1, 'mmap(NULL, 9, PROT_READ|PROT_WRITE, MAP_SHARED, 5</d/ledger-shm>, 0) = 0x7f'),
      '1 100.0 +++ exited with 0 +++',
    ];
    expect(changesBelow(readTrace(lines.join('\n')), ROOT)).toEqual([]);
  });
});
