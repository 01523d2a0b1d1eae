import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packageNames } from '../../../bin/debian-packages.ts';
import type { TestReport } from '../../../bin/test-report.ts';

const project = join(import.meta.dirname, '..', '..', '..');
const FILES = {
  'mixed.test.ts': `
    import { expect, it } from 'vitest';
    it('passes', () => { expect(1).toBe(1); });
    it('fails', () => { expect(1).toBe(2); });
    it('needs a server', (ctx) => { ctx.skip('no server here'); });`,
  'broken.test.ts': `import './gone.ts';`,
  'set-up.test.ts': `
    import { beforeAll, describe, expect, it } from 'vitest';
    describe('a suite', () => {
      beforeAll(() => { throw new Error('no'); });
      it('never runs', () => { expect(1).toBe(1); });
    });`,
};

let root = '';
let result: TestReport;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'co-pilot-report-'));
  symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(root, name), text);
  const file = join(root, 'report.json');
  const vitest = join(project, 'node_modules', 'vitest', 'vitest.mjs');
  const args = [vitest, 'run', '--root', root, `--reporter=${join(project, 'bin', 'test-report.ts')}`];
  spawnSync(process.execPath, args, { cwd: root, env: { ...process.env, COPILOT_TEST_REPORT: file } });
  result = JSON.parse(readFileSync(file, 'utf8')) as TestReport;
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe('the report of a test run', () => {
  it('counts what passed', () => {
    expect(result.passed).toBe(1);
  });

  it('counts a failed test, a file that does not load and a suite whose set-up failed', () => {
    expect(result.failed).toBe(3);
  });

  it('names what was left out and why', () => {
    const names = result.leftOut.map(({ name, reason }) => `${name}: ${reason}`);
    expect(names).toContain('mixed.test.ts: needs a server: no server here');
  });
});

describe('the list of Debian packages', () => {
  it('has one name a line, comments and empty lines aside', () => {
    expect(packageNames('# all\nbubblewrap\n\n strace # traces\n')).toEqual(['bubblewrap', 'strace']);
  });
});
