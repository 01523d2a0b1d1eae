import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DockerComposeEnvironment, type StartedDockerComposeEnvironment } from 'testcontainers';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { eventuallyTrue } from '../doubles/eventually.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { writeCampaign } from '../e2e/campaigns.ts';
import { type ContainerEngine, lacksEngine, openEngine } from '../servers/container-engine.ts';

const project = join(import.meta.dirname, '..', '..');
const compose = join(project, 'compose');
const reason = lacksEngine();
const MINUTES = 60_000;
const FIRST_AGENTS = 2;

interface Case {
  readonly file: string;
  /** What is stopped under load. */
  readonly bus: string;
  readonly agents: number;
}

const INSTALLATIONS: readonly Case[] = [
  { file: 'compose.yaml', bus: 'broker', agents: 4 },
  { file: 'compose.rabbitmq.yaml', bus: 'bus', agents: 20 },
  { file: 'compose.prosody.yaml', bus: 'bus', agents: 4 },
  { file: 'compose.ejabberd.yaml', bus: 'bus', agents: 4 },
];

/** Each image once: most are the same for all. */
const IMAGES: readonly (readonly [string, ...string[]])[] = [
  ['compose.rabbitmq.yaml'],
  ['compose.prosody.yaml', 'bus'],
  ['compose.ejabberd.yaml', 'bus'],
];

/** What no agent may reach: questions of the bus server, the bridge without TLS, management, other programs of the server. */
const TRUSTED_PORTS = [8401, 8403, 15672, 25672, 4369, 5347, 5432];

let directory: string;
let engine: ContainerEngine;
let close = async (): Promise<void> => undefined;

beforeAll(async () => {
  if (reason !== undefined) return;
  directory = await temporaryDirectory('containers');
  close = () => removeDirectory(directory);
  // As compose files have it: the Debian that images are built from.
  engine = await openEngine(directory, process.env['DEBIAN']);
  close = async () => {
    await engine.stop();
    await removeDirectory(directory);
  };
  console.log(engine.versions);
  for (const [name, value] of Object.entries(engine.environment)) vi.stubEnv(name, value);
  // It would come from a registry of images.
  vi.stubEnv('TESTCONTAINERS_RYUK_DISABLED', 'true');
  await promisify(execFile)(process.execPath, [join(compose, 'prepare.mjs')]);
  for (const [file, ...services] of IMAGES)
    await engine.docker(['compose', '--file', join(compose, file), 'build', ...services]);
}, 60 * MINUTES);

afterAll(async () => {
  vi.unstubAllEnvs();
  await close();
});

beforeEach(({ skip }) => {
  skip(reason !== undefined, reason);
});

describe.each(INSTALLATIONS)('the containers of $file', ({ file, bus, agents }) => {
  const name = `co-pilot-test-${process.pid}-${file.split('.').at(-2)}`;
  let installation: StartedDockerComposeEnvironment | undefined;
  let work: string;

  beforeAll(async () => {
    if (reason !== undefined) return;
    work = join(directory, name);
    await mkdir(work);
    // Whoever runs commands in a container is another user there.
    await chmod(work, 0o777);
  });

  afterAll(async () => {
    await installation?.down({ removeVolumes: true, timeout: 20_000 });
  });

  const composed = (...args: readonly string[]): Promise<string> =>
    engine.docker(['compose', '--file', join(compose, file), '--project-name', name, ...args]);

  /** `co-pilot` with these arguments, as an operator says it. */
  const operator = (...args: readonly string[]): Promise<string> =>
    composed('run', '--rm', '-T', '--volume', `${work}:/work`, 'operator', ...args);

  const connected = async (): Promise<number> => {
    const { agents: known } = JSON.parse(await operator('agent', 'list', '--json')) as {
      readonly agents: readonly { readonly connected: boolean }[];
    };
    return known.filter((agent) => agent.connected).length;
  };

  const submit = async (...args: readonly string[]): Promise<string> =>
    (JSON.parse(await operator('job', 'submit', ...args, '--json')) as { readonly campaign: string })
      .campaign;

  const finished = async (campaign: string): Promise<number> => {
    const { campaigns } = JSON.parse(await operator('campaign', 'list', '--json')) as {
      readonly campaigns: readonly {
        readonly campaign: string;
        readonly states: Readonly<Record<string, number>>;
      }[];
    };
    return campaigns.find((entry) => entry.campaign === campaign)?.states['finished'] ?? 0;
  };

  it('come up, every one of them well, with agents that enrol by themselves', async () => {
    installation = await new DockerComposeEnvironment(compose, file)
      .withProjectName(name)
      .withAutoCleanup(false)
      .withStartupTimeout(10 * MINUTES)
      .withClientOptions({ commandOptions: ['--no-build', '--scale', `agent=${FIRST_AGENTS}`] })
      .up();
    await eventuallyTrue(
      'agents to be connected',
      async () => (await connected()) === FIRST_AGENTS,
      2 * MINUTES,
    );
  });

  it('run jobs apart from the agent, and give what these made to whoever submitted them', async () => {
    const script = 'id -u > number.txt; cat /agent/keys.json >> number.txt; echo ${n} >> number.txt';
    await writeCampaign(work, { name: 'small', jobs: 4, script, outputs: ['number.txt'] });
    const campaign = await submit('small.yaml', '--wait');
    await operator('campaign', 'fetch', campaign, '--to', 'results');
    const files = (await readdir(join(work, 'results'), { recursive: true })).filter((path) =>
      path.endsWith('number.txt'),
    );
    const texts = await Promise.all(files.map((path) => readFile(join(work, 'results', path), 'utf8')));
    const lines = texts.map((text) => text.trim().split('\n'));
    expect(lines.map(([, number]) => number).toSorted()).toEqual(['1', '2', '3', '4']);
    for (const [user, ...others] of lines) {
      expect(Number(user)).toBeGreaterThan(0);
      // Nothing of the agent's keys.
      expect(others).toHaveLength(1);
    }
  });

  it('keep everything from agents but what has TLS and a login', async () => {
    const attempt = `
      const { connect } = require('node:net');
      const isOpen = (port) => new Promise((resolve) => {
        const socket = connect(port, 'co-pilot.internal');
        socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
      });
      Promise.all(process.argv.slice(1).map(async (port) => [port, await isOpen(port)])).then((found) => {
        console.log(JSON.stringify(found.filter(([, open]) => open).map(([port]) => Number(port))));
        process.exit();
      });`;
    const tried = [...TRUSTED_PORTS, 8443].map(String);
    const agent = installation?.getContainer('agent-1');
    const ports = await agent?.exec(['node', '-e', attempt, ...tried]);
    expect(ports?.output.trim()).toBe('[8443]');
    const seen = await agent?.exec([
      'sh',
      '-c',
      'ls /tls /data/broker /data/local /data/bridge /bus /database',
    ]);
    expect(seen?.stdout.replaceAll(/^(\/[\w/]+:)?$/gm, '').trim()).toBe('');
  });

  it.skipIf(bus === 'broker')('have a bus on which agents reach brokers and nothing else', async () => {
    expect(await operator('bus', 'check')).toMatch(/^\d+ attempts, nothing leaks$/m);
  });

  it('go on with more agents, and after their bus server was away under load', async () => {
    const jobs = 3 * agents;
    await composed('up', '--detach', '--no-build', '--no-recreate', '--scale', `agent=${agents}`);
    await eventuallyTrue(
      'all agents to be connected',
      async () => (await connected()) === agents,
      10 * MINUTES,
    );
    await writeCampaign(work, {
      name: 'load',
      jobs,
      script: 'sleep 3; echo ${n} > n.txt',
      outputs: ['n.txt'],
    });
    const campaign = await submit('load.yaml');
    await eventuallyTrue('some jobs to end', async () => (await finished(campaign)) > 0, 5 * MINUTES);
    await composed('stop', bus);
    await composed('start', bus);
    await eventuallyTrue('all jobs to end', async () => (await finished(campaign)) === jobs, 10 * MINUTES);
    expect(await operator('ledger', 'check')).toContain(': sound');
  });

  it('are started again with what they know', async () => {
    await composed('stop');
    await composed('up', '--detach', '--no-build', '--scale', `agent=${agents}`);
    await eventuallyTrue(
      'all agents to be there again',
      async () => (await connected()) === agents,
      10 * MINUTES,
    );
    const { agents: known } = JSON.parse(await operator('agent', 'list', '--json')) as {
      readonly agents: readonly object[];
    };
    expect(known).toHaveLength(agents);
  });
});
