import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BROKER_FLAGS } from '../../../broker/node-flags.ts';
import { BUS_SERVERS } from '../../../cli/bus-servers.ts';
import { loadConfiguration } from '../../../cli/configuration/load.ts';
import { ROLES } from '../../../cli/installation.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { isDocumentedCommand } from './commands.ts';
import { composed, composeFiles, type Service } from './compose-files.ts';
import { page, project } from './pages.ts';

const dockerfile = page('compose/Dockerfile');
const targets = [...dockerfile.matchAll(/^FROM \S+ AS (\S+)$/gm)].map(([, name]) => name ?? '');
const installations = composeFiles.map((file) => ({ file, ...composed(file) }));
const services = installations.flatMap(({ file, services: own }) =>
  Object.entries(own).map(([name, service]) => ({ file, name, service })),
);
const named = (wanted: string): readonly Service[] =>
  services.filter(({ name }) => name === wanted).map(({ service }) => service);

describe('the compose files', () => {
  it('are one for the embedded bus, and one for each server', () => {
    const servers = BUS_SERVERS.map((name) => `compose.${name}.yaml`);
    expect(composeFiles).toEqual(['compose.yaml', ...servers].toSorted());
  });

  it.each(installations)('$file starts everything that an installation has', ({ file, services: own }) => {
    const roles = file === 'compose.yaml' ? ['broker'] : ['bus', 'database', ...ROLES];
    const around = ['agent', 'codes', 'gate', 'network', 'operator', 'setup'];
    expect(Object.keys(own).toSorted()).toEqual([...around, ...roles].toSorted());
  });

  it.each(services)('$file: $name has no privilege that it does not name', ({ name, service }) => {
    expect(service.privileged).toBeUndefined();
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.read_only).toBe(name !== 'setup');
    const isRoot = ['agent', 'operator'].includes(name);
    expect(service.user).toBe(isRoot ? '0:0' : 'co-pilot');
    expect(service.cap_add !== undefined).toBe(isRoot);
  });

  it.each(services)('$file: $name is where it belongs on the network, and nothing is published', (entry) => {
    const { name, service } = entry;
    const isAgents = ['agent', 'network'].includes(name);
    expect(service.network_mode).toSatisfy((mode: string | undefined) =>
      isAgents ? mode === undefined : mode === 'none' || mode === 'service:network',
    );
    expect(service.ports).toBeUndefined();
  });

  it.each(installations)('$file tells whether each service is well', ({ services: own }) => {
    const without = Object.entries(own).filter(([, { healthcheck }]) => healthcheck?.test === undefined);
    expect(without.map(([name]) => name).toSorted()).toEqual(['network', 'operator', 'setup']);
  });

  it('give agents their own keys, codes and the authority, and nothing else', () => {
    for (const { volumes } of named('agent'))
      expect(volumes).toEqual(['/agent', 'codes:/codes', 'authority:/authority:ro']);
  });

  it.each(installations)('$file names volumes that it declares', ({ services: own, volumes }) => {
    const used = Object.values(own).flatMap((service) => service.volumes ?? []);
    const names = used.filter((volume) => !volume.startsWith('/')).map((volume) => volume.split(':')[0]);
    expect([...new Set(names)].toSorted()).toEqual(Object.keys(volumes).toSorted());
  });

  it.each(installations)('$file waits for services that it has', ({ services: own }) => {
    for (const { depends_on = {} } of Object.values(own))
      for (const name of Object.keys(depends_on)) expect(own).toHaveProperty(name);
  });

  it('give every service that is the program settings that it takes', async () => {
    const directory = await temporaryDirectory('compose');
    const programs = services.filter(({ service }) => 'COPILOT_PORTS__BUS' in (service.environment ?? {}));
    expect(programs.length).toBeGreaterThanOrEqual(4 * BUS_SERVERS.length);
    for (const { service } of programs) {
      const said = Object.entries(service.environment ?? {}).map(([key, value]) => [key, String(value)]);
      const environment = Object.fromEntries(said) as NodeJS.ProcessEnv;
      await expect(loadConfiguration({ directory, environment, flags: [] })).resolves.toBeDefined();
    }
    await removeDirectory(directory);
  });

  it('run commands, scripts and images that exist', () => {
    for (const { service } of services) {
      const words = [
        ...(service.entrypoint ?? []),
        ...(service.command ?? []),
        ...(service.healthcheck?.test ?? []),
      ];
      const paths = words.filter((word) => word.startsWith('/opt/co-pilot/'));
      for (const path of paths)
        expect(existsSync(join(project, path.replace('/opt/co-pilot/', ''))), path).toBe(true);
      if (service.command?.[0] === 'up')
        expect(isDocumentedCommand(`co-pilot ${service.command.join(' ')}`)).toBe(true);
      const [image = '', version] = service.image.split(':');
      expect(targets).toContain(image.replace(/^co-pilot-/, ''));
      expect(version).toBe('debian-13');
      if (service.build) expect(`co-pilot-${service.build.target}`).toContain(image);
    }
  });

  it('start each role as it is started elsewhere', () => {
    const servers = services.filter(({ file }) => file !== 'compose.yaml');
    for (const role of ROLES) {
      const commands = servers.filter(({ name }) => name === role).map(({ service }) => service.command);
      expect(commands).toEqual(BUS_SERVERS.map(() => ['up', '--role', role]));
    }
    for (const { entrypoint } of servers
      .filter(({ name }) => name === 'broker')
      .map(({ service }) => service))
      expect(entrypoint).toEqual(['node', ...BROKER_FLAGS, '/opt/co-pilot/co-pilot.ts']);
  });
});

describe('the images', () => {
  it('come from Debian, and take nothing from a registry of packages while they are built', () => {
    const bases = [...dockerfile.matchAll(/^FROM (\S+) AS/gm)].map(([, base]) => base ?? '');
    expect(bases.filter((base) => !targets.includes(base))).toEqual(['debian:${DEBIAN}']);
    expect(dockerfile).not.toMatch(/\b(?:npm|curl|wget|ADD)\b/);
  });

  it('end as an ordinary user, each of them', () => {
    for (const stage of dockerfile.split(/^FROM /m).slice(1)) {
      const users = [...stage.matchAll(/^USER (\S+)$/gm)].map(([, user]) => user);
      if (users.length > 0) expect(users.at(-1)).toBe('co-pilot');
    }
  });
});

describe('the health check', () => {
  async function checked(...what: readonly string[]): Promise<number | null> {
    const script = join(project, 'compose/parts/healthy.mjs');
    const [code] = (await once(spawn(process.execPath, [script, ...what], { stdio: 'ignore' }), 'exit')) as [
      number | null,
    ];
    return code;
  }

  it('is content with what answers or is open, and with nothing else', async () => {
    const directory = await temporaryDirectory('healthy');
    const socket = join(directory, 'control.sock');
    const server = createServer((_, response) => response.writeHead(404).end());
    await new Promise<void>((listening) => server.listen(socket, listening));
    expect(await checked(socket)).toBe(0);
    await new Promise((closed) => server.close(closed));
    expect(await checked(socket)).not.toBe(0);
    const open = createServer();
    await new Promise<void>((listening) => open.listen(0, '127.0.0.1', listening));
    const address = open.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    expect(await checked(`:${port}`)).toBe(0);
    await new Promise((closed) => open.close(closed));
    expect(await checked(`:${port}`)).not.toBe(0);
    await removeDirectory(directory);
  });
});
