// Lays out in .tools/image what images are built of: the program, the packages it runs with, and a Node. Building then takes
// nothing from npm. `node compose/prepare.mjs`
import { cpSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findNode24 } from '../bin/find-node.mjs';
import { ensureInstalled } from '../bin/install.mjs';
import { ours } from '../bin/start.mjs';

const PROGRAM = ['LICENSE', 'co-pilot.ts', 'package.json', 'compose', 'examples'];
const FOLDERS = ['adapters', 'agent', 'broker', 'cli', 'conformance', 'protocol'];

if (process.platform !== 'linux')
  throw new Error('images hold the Node of this machine, which must be Linux');

const checkout = ours('.');
const image = ours('.tools/image');
const node = await findNode24(checkout);
await ensureInstalled('run', checkout);
rmSync(image, { recursive: true, force: true });
for (const path of [...PROGRAM, ...FOLDERS, ...packages()]) copy(path, join('co-pilot', path));
cpSync(node, join(image, 'node'), { dereference: true });
copy('compose/Dockerfile', 'Dockerfile');
console.log(image);

/** Those that the program runs with; what tests and checks need is left out. */
function packages() {
  const { packages } = JSON.parse(readFileSync(ours('package-lock.json'), 'utf8'));
  return Object.keys(packages).filter(
    (path) => path.startsWith('node_modules/') && !packages[path].dev && !packages[path].optional,
  );
}

function copy(from, to) {
  const target = join(image, to);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(ours(from), target, { recursive: true });
}
