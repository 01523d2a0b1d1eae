import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.mjs';
import { runNpm } from './npm.mjs';
import { Stop } from './stop.mjs';

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {}; // absent or cut short: treated as not installed
  }
}

/** The direct dependencies, as `name@version`, that node_modules lacks or has in another version. */
export function missingPackages(root, kind) {
  const { dependencies = {}, devDependencies = {} } = readJson(join(root, 'package.json'));
  const wanted = kind === 'dev' ? { ...dependencies, ...devDependencies } : dependencies;
  return Object.entries(wanted)
    .filter(([name, version]) => installedVersion(root, name) !== version)
    .map(([name, version]) => `${name}@${version}`);
}

function installedVersion(root, name) {
  return readJson(join(root, 'node_modules', name, 'package.json')).version;
}

/** A development install stays one: `npm start` never takes its tools away. */
function hasDevelopmentInstall(root) {
  const { devDependencies = {} } = readJson(join(root, 'package.json'));
  return Object.keys(devDependencies).some((name) => installedVersion(root, name) !== undefined);
}

/**
 * Optional packages for this platform that the lockfile does not know, as `name@version`: a lockfile written where the
 * package mirror has one platform only lacks the others', and npm then leaves them out without a word.
 */
export function lackingHere(lock, platform, arch) {
  const packages = lock.packages ?? {};
  const ours = new RegExp(`-${platform}-${arch}(-gnu|-msvc)?$`);
  return Object.values(packages)
    .flatMap((entry) => Object.entries(entry.optionalDependencies ?? {}))
    .filter(([name]) => ours.test(name) && packages[`node_modules/${name}`] === undefined)
    .map(([name, version]) => `${name}@${version}`);
}

/**
 * Makes node_modules right for running (`run`) or for tests and checks too (`dev`). Looks first, which costs a few
 * milliseconds; two starts at once wait for each other.
 */
export async function ensureInstalled(kind, root) {
  const begun = join(root, '.tools', 'installing');
  const complete = () => !existsSync(begun) && missingPackages(root, kind).length === 0;
  if (complete()) return;
  await withLock(join(root, '.tools', 'lock'), async () => {
    if (complete()) return;
    writeFileSync(begun, '');
    await install(kind === 'dev' || hasDevelopmentInstall(root) ? 'dev' : 'run', root);
    rmSync(begun);
  });
}

/** `npm install --no-save` and not `npm ci`, which refuses a lockfile that lacks other platforms' packages (docs/adr/0001). */
async function install(kind, root) {
  const started = Date.now();
  console.error(
    `co-pilot: installing npm packages${kind === 'dev' ? ' with the development tools' : ''} ...`,
  );
  const scope = kind === 'dev' ? '--include=dev' : '--omit=dev';
  const failure = await runNpm(['install', '--no-save', scope], root);
  if (failure !== undefined)
    throw new Stop('npm install failed; check the network and run the same command again', failure);
  if (kind === 'dev') await installLacking(root);
  console.error(`co-pilot: installed in ${((Date.now() - started) / 1000).toFixed(0)} s`);
}

async function installLacking(root) {
  const lock = readJson(join(root, 'package-lock.json'));
  const lacking = lackingHere(lock, process.platform, process.arch);
  const absent = lacking.filter(
    (spec) => installedVersion(root, spec.slice(0, spec.lastIndexOf('@'))) === undefined,
  );
  if (absent.length === 0) return;
  const failure = await runNpm(['install', '--no-save', '--include=dev', ...absent], root);
  if (failure !== undefined)
    console.error(`co-pilot: not to be had here, some checks will not run: ${absent.join(' ')}`);
}
