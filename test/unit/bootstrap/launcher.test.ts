import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { Checkout, ended } from './checkout.ts';

const SAYS_ALL = `
console.log(JSON.stringify({ args: process.argv.slice(2), path: process.env.PATH.split(':')[0], node: process.execPath }));
process.exitCode = 7;
`;
const WAITS_FOR_SIGTERM = `
process.on('SIGTERM', () => { console.log('told'); process.exit(5); });
console.log('up');
setInterval(() => {}, 1000);
`;
const NEEDS_ONE = { dependencies: { left: '1.0.0' }, devDependencies: { tool: '2.0.0' } };

interface Said {
  readonly args: readonly string[];
  readonly path: string;
  readonly node: string;
}

let checkout: Checkout | undefined;
function open(program: string, packages: object = {}): Checkout {
  checkout = new Checkout(program, packages);
  return checkout;
}
afterEach(() => checkout?.remove());

const said = (stdout: string): Said => JSON.parse(stdout) as Said;

describe('co-pilot, started by hand or by npm', () => {
  it('hands over the arguments and takes over the exit code', async () => {
    const { code, stdout, stderr } = await open(SAYS_ALL).run(['up', '--once', 'a b']);
    expect(said(stdout).args).toEqual(['up', '--once', 'a b']);
    expect({ code, stderr }).toEqual({ code: 7, stderr: '' });
  });

  it('puts the folder of the Node it found first on PATH', async () => {
    const { stdout } = await open(SAYS_ALL).run([]);
    expect(said(stdout).path).toBe(dirname(said(stdout).node));
  });

  it('passes SIGTERM on and ends as the program ends', async () => {
    const child = open(WAITS_FOR_SIGTERM).start([]);
    const all = ended(child);
    child.stdout?.once('data', () => child.kill('SIGTERM'));
    expect(await all).toMatchObject({ code: 5, stdout: 'up\ntold\n' });
  });

  it('answers 128 and the number of the signal where a signal ended the program', async () => {
    const { code } = await open(`process.kill(process.pid, 'SIGKILL');`).run([]);
    expect(code).toBe(137);
  });
});

describe('the packages it needs', () => {
  it('are installed once, without the development tools', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    here.npm({ versions: { left: '1.0.0' } });
    const first = await here.run([]);
    const second = await here.run([]);
    expect([first.code, second.code]).toEqual([7, 7]);
    expect(first.stderr).toMatch(/installing npm packages \.\.\.\n.*installed in/);
    expect(second.stderr).toBe('');
    expect(here.npmCalls()).toHaveLength(1);
    expect(here.npmCalls()[0]).toMatch(/^install --no-save --omit=dev .*--ignore-scripts/);
  });

  it('are installed again where a version changed', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    here.write('node_modules/left/package.json', '{"version":"0.9.0"}');
    here.npm({ versions: { left: '1.0.0' } });
    await here.run([]);
    expect(here.npmCalls()).toHaveLength(1);
  });

  it('never cost a development install its tools', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    here.write('node_modules/tool/package.json', '{"version":"2.0.0"}');
    here.npm({ versions: { left: '1.0.0' } });
    await here.run([]);
    expect(here.npmCalls()[0]).toContain('--include=dev');
  });

  it('are installed once by two starts at the same time', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    here.npm({ versions: { left: '1.0.0' }, delayMs: 300 });
    const both = await Promise.all([here.run([]), here.run([])]);
    expect(both.map(({ code }) => code)).toEqual([7, 7]);
    expect(here.npmCalls()).toHaveLength(1);
  });

  it('that npm cannot bring are said in one line after what npm said, and tried again next time', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    here.npm({ exitCode: 1 });
    const { code, stdout, stderr } = await here.run([]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /npm error the registry said no\nco-pilot: npm install failed; check the network.*\n$/,
    );
    here.npm({ versions: { left: '1.0.0' } });
    expect((await here.run([])).code).toBe(7);
  });

  it('are installed again after an install that did not end, whatever lies there', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    here.write('node_modules/left/package.json', '{"version":"1.0.0"}');
    here.write('.tools/installing', '');
    await here.run([]);
    expect(here.npmCalls()).toHaveLength(1);
    expect(existsSync(join(here.root, '.tools', 'installing'))).toBe(false);
  });

  it('are installed although a dead process left its lock', async () => {
    const here = open(SAYS_ALL, NEEDS_ONE);
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    here.write('.tools/lock/pid', String(dead));
    here.npm({ versions: { left: '1.0.0' } });
    expect((await here.run([])).code).toBe(7);
  });
});

describe('an old Node', () => {
  it('fetches a new one once and runs the program under it', async () => {
    const here = open(SAYS_ALL);
    const first = await here.run(['up'], { old: true });
    const second = await here.run(['up'], { old: true });
    expect(first.stderr).toMatch(
      /^co-pilot: this is Node 18\.20\.8; fetching Node \d+\.\d+\.\d+ into \.tools\/ \.\.\.\n$/,
    );
    expect(second.stderr).toBe('');
    expect(said(second.stdout).path).toContain(join(here.root, '.tools', 'node-'));
    expect(realpathSync(said(second.stdout).node)).toBe(realpathSync(process.execPath));
    expect(here.npmCalls()).toHaveLength(1);
  });

  it('says what to do where npm has none', async () => {
    const here = open(SAYS_ALL);
    here.npm({ exitCode: 1 });
    const { code, stderr } = await here.run(['up'], { old: true });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /co-pilot: npm could not install node-.*@.*; .*put Node 24\.15 or newer on PATH.*\n$/,
    );
  });
});
