import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const project = join(import.meta.dirname, '..', '..', '..');

/** File, what it imports, and the rule that refuses it (undefined: none does). */
const FILES: readonly (readonly [string, readonly string[], string?])[] = [
  ['protocol/base.ts', ['node:path']],
  ['protocol/bindings/socket.ts', ['ws', '../base.ts']],
  ['protocol/bad.ts', ['../broker/core.ts'], 'protocol-sees-nothing-of-ours'],
  ['broker/core.ts', ['../protocol/base.ts']],
  ['broker/bad.ts', ['../agent/loop.ts'], 'broker-sees-only-protocol'],
  ['broker/socket.ts', ['ws'], 'transports-only-in-bindings'],
  ['broker/testing.ts', ['vitest'], 'no-development-packages-at-run-time'],
  ['broker/left.ts', ['./right.ts'], 'no-cycles'],
  ['broker/right.ts', ['./left.ts']],
  ['broker/lonely.ts', [], 'no-orphans'],
  ['broker/nowhere.ts', ['./gone.ts'], 'no-unresolved'],
  ['agent/loop.ts', ['../protocol/base.ts']],
  ['agent/bad.ts', ['../adapters/jobs/queue.ts'], 'agent-sees-only-protocol'],
  ['adapters/jobs/queue.ts', ['../../protocol/base.ts']],
  ['adapters/jobs/bad.ts', ['../../broker/core.ts'], 'adapters-sees-only-protocol'],
  ['adapters/storage/bad.ts', ['../jobs/queue.ts'], 'jobs-and-storage-apart'],
  ['conformance/run.ts', ['../protocol/base.ts']],
  ['conformance/bad.ts', ['../broker/core.ts'], 'conformance-sees-only-protocol'],
  ['bin/judge.ts', ['../conformance/run.ts'], 'only-the-command-line-sees-conformance'],
  ['cli/show.ts', ['../protocol/base.ts', '../broker/core.ts', '../conformance/run.ts']],
  ['co-pilot.ts', ['./cli/show.ts', './agent/loop.ts', './broker/core.ts']],
  ['bin/bad.ts', ['../cli/show.ts'], 'only-the-program-sees-the-command-line'],
  ['bin/worse.ts', ['../test/double.ts'], 'nothing-sees-tests'],
  ['test/double.ts', ['../broker/core.ts', '../cli/show.ts', 'ws', 'vitest']],
];

interface Violation {
  readonly from: string;
  readonly rule: { readonly name: string };
}

let root = '';
let violations: readonly string[] = [];

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'co-pilot-layers-'));
  for (const name of ['.dependency-cruiser.cjs', 'tsconfig.json', 'package.json'])
    cpSync(join(project, name), join(root, name));
  symlinkSync(join(project, 'node_modules'), join(root, 'node_modules'));
  for (const [file, imports] of FILES) write(file, imports);
  const tool = join(project, 'node_modules', '.bin', 'depcruise');
  const args = [tool, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', '.'];
  const { stdout } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8', maxBuffer: 64e6 });
  const { summary } = JSON.parse(stdout) as { summary: { violations: readonly Violation[] } };
  violations = summary.violations.map(({ from, rule }) => `${from} ${rule.name}`).toSorted();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

function write(file: string, imports: readonly string[]): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  const lines = imports.map((name) => `import '${name}';`);
  writeFileSync(join(root, file), [...lines, 'export const here = 1;', ''].join('\n'));
}

describe('the layers', () => {
  it('refuse exactly what crosses them', () => {
    const expected = FILES.flatMap(([file, , rule]) => (rule === undefined ? [] : [`${file} ${rule}`]));
    expect(violations).toEqual(expected.toSorted());
  });
});
