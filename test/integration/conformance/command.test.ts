import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../../conformance/report.ts';
import { faultyAgent } from '../../doubles/agent-conformance.ts';
import { coPilot } from '../../doubles/co-pilot-command.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let directory: string;

beforeAll(async () => {
  directory = await temporaryDirectory('conformance');
});
afterAll(() => removeDirectory(directory));

describe('co-pilot conformance agent', () => {
  it('lists its cases without an agent', async () => {
    const { code, stdout } = await coPilot(['conformance', 'agent', '--list', '--level', 'robust', '--json']);
    expect(code).toBe(0);
    const { cases } = JSON.parse(stdout) as {
      cases: readonly { id: string; requirements: readonly string[] }[];
    };
    expect(cases.length).toBeGreaterThan(150);
    expect(cases).toContainEqual(
      expect.objectContaining({ id: 'AGT-F-005', level: 'full', requirements: ['F-5'] }),
    );
  });

  it.each([
    ['no command', [], '--command'],
    ['an option there is not', ['--twice'], '--twice'],
  ])('ends with 64 for %s, and says so', async (_what, options, words) => {
    const { code, stdout, stderr } = await coPilot(['conformance', 'agent', ...options]);
    expect(code).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toContain(words);
  });

  it('ends with 69 where the agent cannot be started', async () => {
    const { code, stderr } = await coPilot([
      'conformance',
      'agent',
      '--command',
      '/there/is/none',
      '--only',
      'AGT-M-005',
    ]);
    expect(code).toBe(69);
    expect(stderr).toContain('/there/is/none cannot be started');
  });

  it('ends with 0 where every case passed, with the report as JSON and the progress beside it', async () => {
    const only = ['--only', 'AGT-M-005'];
    const { code, stdout, stderr } = await coPilot([
      'conformance',
      'agent',
      '--command',
      faultyAgent('none'),
      '--json',
      '--patience',
      '3',
      ...only,
    ]);
    expect(stderr).toContain('1/1  ok      AGT-M-005');
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as Report;
    expect(report).toMatchObject({ subject: 'agent', passed: 1, failed: 0 });
    expect(report.requirements).toContainEqual({
      requirement: 'M-7',
      status: 'proved',
      cases: ['AGT-M-005'],
    });
  });

  it('ends with 1 where one failed, and writes JUnit', async () => {
    const file = join(directory, 'report.xml');
    const only = ['--only', 'AGT-V-001', '--junit', file];
    const { code, stdout } = await coPilot([
      'conformance',
      'agent',
      '--command',
      faultyAgent('wrong-signature'),
      '--patience',
      '3',
      ...only,
    ]);
    expect(code).toBe(1);
    expect(stdout).toContain('V-2: the signature of its report does not hold');
    expect(await readFile(file, 'utf8')).toContain('<failure message="V-2: ');
  });
});

describe('co-pilot conformance adapter', () => {
  const program = join(import.meta.dirname, '../../doubles/adapter-command.ts');

  async function held(kind: 'job' | 'storage', only: string, ...operator: readonly string[]) {
    const own = await temporaryDirectory('adapter');
    const command = (what: string, ...words: readonly string[]) =>
      [process.execPath, program, what, own, ...words].join(' ');
    const [option = '', what = '', ...words] = operator;
    try {
      return await coPilot([
        'conformance',
        'adapter',
        ...['--kind', kind, '--command', command(kind, '{configuration}'), option, command(what, ...words)],
        ...['--only', only, '--json', '--patience', '3'],
      ]);
    } finally {
      await removeDirectory(own);
    }
  }

  it.each([
    ['job', 'ADP-T-12', ['--submit', 'submit', '{file}', '{queue}']],
    ['storage', 'ADP-C-02', ['--put-input', 'put-input', '{file}']],
  ] as const)(
    'holds a %s adapter that is a command against %s, and ends it',
    async (kind, only, operator) => {
      const { code, stdout, stderr } = await held(kind, only, ...operator);
      expect(stderr).toContain(only);
      expect(JSON.parse(stdout)).toMatchObject({
        subject: 'adapter',
        passed: 1,
        failed: 0,
        notApplicable: 0,
      });
      expect(code).toBe(0);
    },
  );
});
