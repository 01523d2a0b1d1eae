import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { page, project } from './pages.ts';

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly volumes: readonly string[];
  readonly cap_drop: readonly string[];
  readonly cap_add?: readonly string[];
  readonly security_opt: readonly string[];
  readonly read_only: boolean;
  readonly privileged?: boolean;
  readonly network_mode?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
}

const { services, volumes } = parse(page('compose/compose.yaml'), { merge: true }) as {
  services: Record<string, Service>;
  volumes: Record<string, null>;
};
const named = Object.entries(services);
const agents = named.filter(([name]) => name.startsWith('agent-'));
const dockerfile = page('compose/Dockerfile');

describe('the compose file', () => {
  it('has one broker and four agents', () => {
    expect(named.map(([name]) => name)).toEqual(['broker', 'agent-1', 'agent-2', 'agent-3', 'agent-4']);
  });

  it.each(named)('%s has no privilege that it does not name, and writes to its volume only', (_, service) => {
    expect(service.privileged).toBeUndefined();
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.read_only).toBe(true);
  });

  it('gives every service a volume of its own', () => {
    const used = named.flatMap(([, service]) => service.volumes.map((volume) => volume.split(':')[0] ?? ''));
    expect(used.toSorted()).toEqual(Object.keys(volumes).toSorted());
    expect(new Set(used).size).toBe(named.length);
  });

  it('gives every agent a one-use code of its own', () => {
    const codes = agents.map(([, service]) => service.command.at(-1));
    expect(codes).toEqual([1, 2, 3, 4].map((number) => `\${COPILOT_CODE_${number}:-}`));
  });

  it('keeps the enrolment off every network, since it speaks plain HTTP', () => {
    expect(agents.map(([, { network_mode }]) => network_mode)).toEqual(Array(4).fill('service:broker'));
    expect(page('compose/compose.yaml')).not.toMatch(/^\s+ports:/m);
  });

  it('builds from files that exist', () => {
    const build = services['broker']?.build;
    expect(existsSync(join(project, 'compose', build?.context ?? '', build?.dockerfile ?? ''))).toBe(true);
  });
});

describe('the image', () => {
  it('ends as an ordinary user', () => {
    const users = [...dockerfile.matchAll(/^USER (\w+)$/gm)].map(([, user]) => user);
    expect(users.at(-1)).toBe('node');
  });

  it('holds no development packages, runs no package scripts and enters through the launcher', () => {
    expect(dockerfile).toMatch(/npm install --no-save --omit=dev --ignore-scripts/);
    expect(dockerfile).toContain('ENTRYPOINT ["node", "/opt/co-pilot/bin/co-pilot.mjs"]');
  });

  it('leaves out what is no part of the program', () => {
    const ignored = page('compose/Dockerfile.dockerignore').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['.git', '.run', '.tools', 'node_modules']));
  });
});
