import { execFile, execFileSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { installDebianPackages } from '../../bin/debian-packages.ts';
import { isInstalled, type ServerProcess, startServer } from './server-process.ts';

/** Docker with its compose plugin, and a Debian to build images from. */
export interface ContainerEngine {
  /** What programs that use it are started with. */
  readonly environment: Readonly<Record<string, string>>;
  /** Which programs these are. */
  readonly versions: string;
  /** Runs `docker` with these arguments and answers what it said. */
  docker(args: readonly string[]): Promise<string>;
  /** Ends what was started, and leaves an engine alone that was there before. */
  stop(): Promise<void>;
}

/** What each Debian is called that images can be built from. */
const SUITES: Readonly<Record<string, string>> = { '12': 'bookworm', '13': 'trixie' };
/** The one that has compose in a version that reads our files; it runs on the other too. */
const NEWEST = '13';
const BRIDGE = 'docker0';
const OUTPUT_BYTES = 64 * 1024 * 1024;
const run = promisify(execFile);

/** Why there is no engine here and none can be started; undefined where that is not so. */
export function lacksEngine(): string | undefined {
  if (answers() || process.getuid?.() === 0) return undefined;
  return 'no container engine answers, and to start one takes root';
}

/** The engine that answers, else one of its own with everything in `directory`, of Debian's packages; it has the base image of that Debian. */
export async function openEngine(directory: string, debian: string = NEWEST): Promise<ContainerEngine> {
  if (!answers()) installEngine();
  const hadBridge = BRIDGE in networkInterfaces();
  const own = answers() ? undefined : await startEngine(directory);
  const plugins = join(directory, 'client');
  const environment = {
    ...(own && { DOCKER_HOST: own.address }),
    // Its builder is in every engine; the newer one is a package of its own.
    DOCKER_BUILDKIT: '0',
  };
  const stop = async (): Promise<void> => {
    await own?.server.stop();
    // An engine leaves it behind.
    if (own && !hadBridge) execFileSync('ip', ['link', 'delete', BRIDGE]);
  };
  try {
    await needBase(environment, directory, debian);
    const complete = (await hasCompose(environment))
      ? environment
      : { ...environment, DOCKER_CONFIG: await fetchCompose(environment, directory, plugins) };
    return {
      environment: complete,
      versions: await versionsOf(complete),
      docker: (args) => docker(complete, args),
      stop,
    };
  } catch (caught) {
    await stop();
    throw caught;
  }
}

type Environment = Readonly<Record<string, string>>;

async function docker(environment: Environment, args: readonly string[]): Promise<string> {
  const { stdout } = await run('docker', args, {
    env: { ...process.env, ...environment },
    maxBuffer: OUTPUT_BYTES,
  });
  return stdout;
}

function answers(): boolean {
  try {
    execFileSync('docker', ['version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function installEngine(): void {
  install(
    ...(isInstalled('dockerd') ? [] : ['docker.io']),
    ...(isInstalled('debootstrap') ? [] : ['debootstrap']),
  );
  // Debian 13 has the client in a package of its own.
  if (!isInstalled('docker')) install('docker-cli');
}

function install(...names: readonly string[]): void {
  const failure = names.length === 0 ? undefined : installDebianPackages(names);
  if (failure !== undefined) throw new Error(failure);
}

interface OwnEngine {
  readonly address: string;
  readonly server: ServerProcess;
}

async function startEngine(directory: string): Promise<OwnEngine> {
  const address = `unix://${join(directory, 'engine.sock')}`;
  const place = (name: string): string => join(directory, name);
  const server = await startServer({
    file: 'dockerd',
    args: [
      ...['--data-root', place('engine'), '--exec-root', place('running')],
      ...['--pidfile', place('engine.pid'), '--host', address],
    ],
    isReady: async () => {
      await docker({ DOCKER_HOST: address }, ['version']);
      return true;
    },
  });
  return { address, server };
}

/** By name where a registry of images answers, else out of Debian's packages. */
async function needBase(environment: Environment, directory: string, debian: string): Promise<void> {
  const image = imageOf(debian);
  const suite = SUITES[debian];
  if (suite === undefined) throw new Error(`there are no images of Debian ${debian}`);
  const has = (args: readonly string[]): Promise<boolean> =>
    docker(environment, args).then(
      () => true,
      () => false,
    );
  if ((await has(['image', 'inspect', image])) || (await has(['pull', image]))) return;
  const root = join(directory, `base-${debian}`);
  await run('debootstrap', ['--variant=minbase', suite, root, await debianMirror()], {
    maxBuffer: OUTPUT_BYTES,
  });
  // As in the image that a registry has: what is lost with the machine is made anew.
  await writeFile(join(root, 'etc/dpkg/dpkg.cfg.d/docker-apt-speedup'), 'force-unsafe-io\n');
  const left = ['./var/cache/apt/archives/*.deb', './var/lib/apt/lists/*'].map((path) => `--exclude=${path}`);
  await run('tar', ['-C', root, ...left, '-cf', `${root}.tar`, '.']);
  await docker(environment, ['import', `${root}.tar`, image]);
}

function imageOf(debian: string): string {
  return `debian:${debian}`;
}

/** Where this machine has its packages from. */
async function debianMirror(): Promise<string> {
  const { stdout } = await run('apt-get', ['indextargets', '--format', '$(LABEL) $(REPO_URI)']);
  const [, mirror] = /^Debian (\S+)$/m.exec(stdout) ?? [];
  if (mirror === undefined) throw new Error('apt knows no mirror of Debian');
  return mirror;
}

async function hasCompose(environment: Environment): Promise<boolean> {
  return docker(environment, ['compose', 'version']).then(
    () => true,
    () => false,
  );
}

/** Debian 12 has an older one, which cannot read our files. */
async function fetchCompose(environment: Environment, directory: string, folder: string): Promise<string> {
  await needBase(environment, directory, NEWEST);
  await mkdir(join(folder, 'cli-plugins'), { recursive: true });
  const script = [
    'cd /tmp && apt-get update -qq && apt-get download -qq docker-compose',
    'dpkg-deb -x docker-compose_*.deb . && cp usr/libexec/docker/cli-plugins/docker-compose /out',
  ].join(' && ');
  const out = `${join(folder, 'cli-plugins')}:/out`;
  await docker(environment, ['run', '--rm', '--volume', out, imageOf(NEWEST), 'sh', '-c', script]);
  return folder;
}

async function versionsOf(environment: Environment): Promise<string> {
  const engine = await docker(environment, ['version', '--format', '{{.Server.Version}}']);
  const compose = await docker(environment, ['compose', 'version', '--short']);
  return `Docker ${engine.trim()}, compose ${compose.trim()}`;
}
