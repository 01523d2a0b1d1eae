import { describe, expect, it } from 'vitest';
import { checkSpec, isWithin, type CheckedParts } from '../../../agent/executors/launch-spec.ts';

const good: CheckedParts = {
  command: '/bin/true',
  arguments: ['a', '=', '--b'],
  environment: { CARD: 'x=y\nz' },
  workDirectory: '/var/agent/jobs/1',
  readOnly: ['/var/program', '/usr/local/node'],
  hiddenPaths: ['/var/program/secret', '/var/agent'],
  limits: { memoryMiB: 1, diskMiB: 0.5, processes: 1 },
};

const wrong: readonly (readonly [string, Partial<CheckedParts>, RegExp])[] = [
  ['no command', { command: '' }, /command/],
  ['a command that is an option', { command: '-S' }, /command/],
  ['a command that is an assignment', { command: 'LD_PRELOAD=x' }, /command/],
  ['NUL in an argument', { arguments: ['a\0b'] }, /NUL/],
  ['too many arguments', { arguments: Array<string>(1_025).fill('a') }, /1024 arguments/],
  ['too long arguments', { arguments: ['a'.repeat(70_000)] }, /65536 bytes/],
  ['a variable name that is code', { environment: { 'A;id': '' } }, /variable name/],
  ['an empty variable name', { environment: { '': 'x' } }, /variable name/],
  ['NUL in a variable', { environment: { A: '\0' } }, /NUL/],
  ['a variable longer than the kernel takes', { environment: { A: 'x'.repeat(70_000) } }, /too long/],
  [
    'too many variables',
    { environment: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`V${i}`, ''])) },
    /256/,
  ],
  ['a relative work directory', { workDirectory: 'jobs/1' }, /\bwork directory/],
  ['the root as work directory', { workDirectory: '/' }, /\bwork directory/],
  ['a work directory with dots', { workDirectory: '/var/agent/../root' }, /\bwork directory/],
  ['a work directory with a colon', { workDirectory: '/var/a:0:0' }, /\bwork directory/],
  ['a work directory with a line break', { workDirectory: '/var/a\nb' }, /\bwork directory/],
  ['a work directory in /usr', { workDirectory: '/usr/share/x' }, /system tree/],
  ['a work directory in /proc', { workDirectory: '/proc/1' }, /system tree/],
  ['the root read-only', { readOnly: ['/'] }, /read-only path/],
  ['a backslash in a path', { readOnly: ['/var/a\\040b'] }, /read-only path/],
  ['a read-only path in the work directory', { readOnly: ['/var/agent/jobs/1/x'] }, /lies in it/],
  ['a hidden path in the work directory', { hiddenPaths: ['/var/agent/jobs/1'] }, /hidden path/],
  ['too many paths', { readOnly: Array.from({ length: 65 }, (_, i) => `/var/${i}`) }, /64 paths/],
  ['no memory', { limits: { ...good.limits, memoryMiB: 0 } }, /memoryMiB/],
  ['a disk that is no number', { limits: { ...good.limits, diskMiB: Number.NaN } }, /diskMiB/],
  ['endless CPU', { limits: { ...good.limits, cpuSeconds: Number.POSITIVE_INFINITY } }, /cpuSeconds/],
];

describe('what is launched', () => {
  it('is taken as it is where nothing is wrong', () => {
    expect(() => checkSpec(good)).not.toThrow();
  });

  it.each(wrong)('is refused with %s', (_, change, message) => {
    expect(() => checkSpec({ ...good, ...change })).toThrow(
      expect.objectContaining({ code: 'LAUNCH_REFUSED', message: expect.stringMatching(message) }),
    );
  });
});

describe('isWithin', () => {
  it('goes by components, not by characters', () => {
    expect(isWithin('/a/b', '/a')).toBe(true);
    expect(isWithin('/a', '/a')).toBe(true);
    expect(isWithin('/ab', '/a')).toBe(false);
    expect(isWithin('/a', '/')).toBe(true);
  });
});
