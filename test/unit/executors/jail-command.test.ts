import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { coverInherited } from '../../../agent/executors/inherited-descriptors.ts';
import { jailCommand, temporaryMiB, type JailSpec } from '../../../agent/executors/jail-command.ts';
import { viewSteps } from '../../../agent/executors/jail-file-system.ts';

const isRoot = process.getuid?.() === 0;
let base: string;
beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), 'co-pilot-jail-')));
  mkdirSync(join(base, 'checkout', 'state', 'agent'), { recursive: true });
  mkdirSync(join(base, 'checkout', 'state', 'broker'));
  writeFileSync(join(base, 'checkout', 'secret'), '');
});
afterAll(() => rmSync(base, { recursive: true }));

const jail = (change: Partial<JailSpec> = {}): JailSpec => ({
  command: 'node',
  arguments: ['main.js', '$(id)'],
  environment: { LD_PRELOAD: '/evil.so', HOME: '/elsewhere' },
  workDirectory: join(base, 'checkout', 'state', 'agent'),
  readOnly: [],
  limits: { memoryMiB: 400, diskMiB: 200, processes: 50 },
  network: 'host',
  nesting: false,
  descriptors: 'report',
  uid: 212_345,
  ...change,
});

describe('the command of a jail', () => {
  it.each(['bubblewrap', 'unshare', 'none'] as const)(
    '%s: keeps what a job says away from the layers around it',
    (method) => {
      const { args, options } = jailCommand(method, jail());
      expect(Object.keys(options.env).filter((name) => !/^CO_PILOT_JOB_ENV_\d+$/.test(name))).toEqual([
        'PATH',
      ]);
      expect(Object.values(options.env)).toContain('LD_PRELOAD=/evil.so');
      expect(Object.values(options.env)).toContain(`HOME=${jail().workDirectory}`);
      expect(args.slice(-3)).toEqual(['node', 'main.js', '$(id)']);
      expect(options).toMatchObject({ cwd: '/', detached: true });
      expect(args.join('\n')).not.toContain('evil');
    },
  );

  it('refuses what a method cannot hold', () => {
    const refusal = expect.objectContaining({ code: 'LAUNCH_REFUSED' });
    expect(() => jailCommand('none', jail({ network: 'none' }))).toThrow(refusal);
    expect(() => jailCommand('uid', jail({ network: 'none' }))).toThrow(refusal);
    expect(() => jailCommand('unshare', jail({ command: '-x' }))).toThrow(refusal);
    if (isRoot)
      for (const uid of [0, -1, 1.5, 2 ** 31])
        expect(() => jailCommand('uid', jail({ uid }))).toThrow(refusal);
    else expect(() => jailCommand('uid', jail())).toThrow(refusal);
  });

  it('bounds the memory that files in /tmp can take by that of the job', () => {
    expect(temporaryMiB({ memoryMiB: 400, diskMiB: 200 })).toBe(50);
    expect(temporaryMiB({ memoryMiB: 4, diskMiB: 200 })).toBe(16);
  });
});

describe('what a job sees', () => {
  const own = (hiddenPaths: readonly string[], readOnly: readonly string[]) =>
    viewSteps({
      workDirectory: join(base, 'checkout', 'state', 'agent'),
      readOnly,
      hiddenPaths,
      network: 'none',
    })
      .filter((step) => step.path.startsWith(base))
      .map((step) => [step.kind, step.path.slice(base.length)]);

  it('is its work directory alone, with empty parents', () => {
    expect(own([], [])).toEqual([
      ['directory', ''],
      ['directory', '/checkout'],
      ['directory', '/checkout/state'],
      ['write', '/checkout/state/agent'],
    ]);
  });

  it('has hidden what is hidden, before the work directory is put into it', () => {
    const checkout = join(base, 'checkout');
    const hidden = [join(checkout, 'state'), join(checkout, 'secret'), join(base, 'invisible')];
    expect(own(hidden, [checkout])).toEqual([
      ['directory', ''],
      ['read', '/checkout'],
      ['hide', '/checkout/state'],
      ['hide', '/checkout/secret'],
      ['write', '/checkout/state/agent'],
    ]);
  });

  it('is no network configuration where there is no network', () => {
    const paths = (network: 'host' | 'none') =>
      viewSteps({ workDirectory: base, readOnly: [], hiddenPaths: [], network })
        .filter((step) => step.kind === 'read')
        .map((step) => step.path);
    expect(paths('host')).toContain('/etc/hosts');
    expect(paths('none')).not.toContain('/etc/hosts');
    expect(paths('host')).not.toContain('/etc');
  });
});

describe('descriptors that whoever started us left open', () => {
  it('are covered and others left out', () => {
    const stdio = coverInherited(['a', 'b', 'c'], 9);
    expect(stdio.slice(0, 3)).toEqual(['a', 'b', 'c']);
    expect(stdio.slice(3).every((entry) => entry === 9 || entry === 'ignore')).toBe(true);
  });
});
