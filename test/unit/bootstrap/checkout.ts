import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';

/** What the checkout's npm does when it is called; it also writes its arguments into `npm-calls`. */
export interface FakeNpm {
  readonly versions?: Readonly<Record<string, string>>;
  readonly exitCode?: number;
  readonly delayMs?: number;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A checkout of its own in a temporary folder: the real launchers, an npm that only pretends, and any `co-pilot.ts`. */
export class Checkout {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'co-pilot-checkout-')));

  constructor(program: string, packages: object) {
    cpSync(join(import.meta.dirname, '..', '..', '..', 'bin'), join(this.root, 'bin'), { recursive: true });
    this.write('package.json', JSON.stringify({ type: 'module', ...packages }));
    this.write('package-lock.json', JSON.stringify({ packages: {} }));
    this.write('co-pilot.ts', program);
    this.write('old.cjs', OLD_NODE);
    this.write('path/package.json', '{}');
    writeFileSync(join(this.root, 'path', 'npm'), `#!${process.execPath}\n${FAKE_NPM}`, { mode: 0o755 });
    this.npm({});
  }

  npm(behaviour: FakeNpm): void {
    this.write('npm.json', JSON.stringify({ ...behaviour, node: process.execPath }));
  }

  npmCalls(): readonly string[] {
    return this.read('npm-calls')
      .split('\n')
      .filter((line) => line !== '');
  }

  write(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true });
    writeFileSync(join(this.root, path), text);
  }

  read(path: string): string {
    try {
      return readFileSync(join(this.root, path), 'utf8');
    } catch {
      return '';
    }
  }

  /** Starts `bin/co-pilot.mjs`; `old` makes it believe that it runs under Node 18. */
  start(args: readonly string[], { old = false } = {}): ChildProcess {
    const preload = old ? ['--require', join(this.root, 'old.cjs')] : [];
    const environment = Object.entries(process.env).filter(([name]) => name !== 'npm_execpath');
    return spawn(process.execPath, [...preload, join(this.root, 'bin', 'co-pilot.mjs'), ...args], {
      cwd: tmpdir(),
      env: {
        ...Object.fromEntries(environment),
        PATH: old ? join(this.root, 'path') : `${join(this.root, 'path')}${delimiter}/bin`,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  async run(args: readonly string[], options = {}): Promise<Ended> {
    return ended(this.start(args, options));
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** Waits until the process has ended and says what it printed. */
export function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

const OLD_NODE = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.8' } });`;

const FAKE_NPM = `
const fs = require('node:fs');
const path = require('node:path');
const root = path.join(__dirname, '..');
const args = process.argv.slice(2);
fs.appendFileSync(path.join(root, 'npm-calls'), args.join(' ') + '\\n');
const { versions = {}, exitCode = 0, delayMs = 0, node } = JSON.parse(fs.readFileSync(path.join(root, 'npm.json')));
const prefix = args.includes('--prefix') ? args[args.indexOf('--prefix') + 1] : root;
setTimeout(() => {
  if (exitCode !== 0) console.error('npm error the registry said no');
  else if (prefix !== root) bringNode();
  else for (const [name, version] of Object.entries(versions)) put(name, JSON.stringify({ version }));
  process.exit(exitCode);
}, delayMs);
function put(name, text) {
  fs.mkdirSync(path.join(prefix, 'node_modules', name), { recursive: true });
  fs.writeFileSync(path.join(prefix, 'node_modules', name, 'package.json'), text);
}
function bringNode() {
  const name = args.find((arg) => /^node-.*@/.test(arg)).split('@')[0];
  fs.mkdirSync(path.join(prefix, 'node_modules', name, 'bin'), { recursive: true });
  fs.symlinkSync(node, path.join(prefix, 'node_modules', name, 'bin', 'node'));
  fs.writeFileSync(path.join(prefix, 'node_modules', '.package-lock.json'), '{}');
}
`;
