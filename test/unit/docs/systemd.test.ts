import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Command } from 'commander';
import { AGENT_EXIT } from '../../../agent/exit-codes.ts';
import { BROKER_FLAGS } from '../../../broker/node-flags.ts';
import { EXIT } from '../../../cli/command-line.ts';
import { addAgentCommands } from '../../../cli/commands/agent.ts';
import { addUpCommand } from '../../../cli/commands/up.ts';
import { frameworkRole, generatedFile, ROLES } from '../../../cli/installation.ts';
import { page, project } from './pages.ts';

const units = globSync('compose/systemd/*.service', { cwd: project }).toSorted();
const program = new Command();
addUpCommand(program);
addAgentCommands(program);

/** Values of a key, in order; a unit may say it several times. */
function values(unit: string, key: string): readonly string[] {
  return [...page(unit).matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value ?? '');
}

const unitOf = (name: string): string => `compose/systemd/co-pilot-${name}.service`;

describe('the systemd units', () => {
  it('are one for each role, one for adapters of frameworks, and one for agents', () => {
    expect(units).toEqual([...ROLES, 'framework@', 'agent@'].map(unitOf).toSorted());
  });

  it('of an adapter of a framework runs the one that it is named after, once it has its part', () => {
    const unit = unitOf('framework@');
    expect(values(unit, 'ExecStart')[0]).toMatch(/ up --role %i --data \/var\/lib\/co-pilot$/);
    const [part] = values(unit, 'ConditionPathExists');
    expect(part).toBe(generatedFile('/var/lib/co-pilot', frameworkRole('%i')));
    // What is hardened for the local queue is for it: both speak to the bus, the one to its socket, the other to its framework.
    const lines = (name: string): readonly string[] =>
      page(unitOf(name))
        .split('\n')
        .filter((line) => line !== '' && !/^(?:#|Description|ConditionPath|ExecStart)/.test(line));
    expect(lines('framework@')).toEqual(lines('local'));
  });

  it.each(units)('%s hardens what it starts, ends it in bounded time, and starts it again', (unit) => {
    expect(values(unit, 'NoNewPrivileges')).toEqual(['yes']);
    expect(values(unit, 'ProtectSystem')).toEqual(['strict']);
    expect(values(unit, 'CapabilityBoundingSet')).toEqual(['']);
    expect(values(unit, 'UMask')).toEqual(['0077']);
    expect(values(unit, 'Restart')).toEqual(['on-failure']);
    expect(Number(values(unit, 'TimeoutStopSec')[0])).toBeGreaterThan(0);
    expect(Number(values(unit, 'LimitNOFILE')[0])).toBeGreaterThanOrEqual(4096);
    expect(values(unit, 'StateDirectory')).toHaveLength(1);
    expect(values(unit, 'User').concat(values(unit, 'DynamicUser'))).toHaveLength(1);
  });

  it.each(ROLES)('%s runs that role alone', (role) => {
    const [command = ''] = values(unitOf(role), 'ExecStart');
    expect(command).toContain(` up --role ${role} --data /var/lib/co-pilot`);
    const flags = command.split(' ').filter((word) => word.includes('semi-space'));
    expect(flags).toEqual(role === 'broker' ? BROKER_FLAGS : []);
  });

  it.each(units)('%s names options that exist', (unit) => {
    const [, line = ''] = /co-pilot\.ts (.*)$/.exec(values(unit, 'ExecStart')[0] ?? '') ?? [];
    const [noun, verb] = line.split(' ');
    const command = program.commands.find((entry) => entry.name() === noun);
    const inner = command?.commands.find((entry) => entry.name() === verb) ?? command;
    const options = line.split(' ').filter((word) => word.startsWith('--'));
    expect(options.length).toBeGreaterThan(1);
    expect(inner?.options.map(({ long }) => long)).toEqual(expect.arrayContaining(options));
  });

  it('do not start again what cannot get better', () => {
    const agent = values(unitOf('agent@'), 'RestartPreventExitStatus')[0]?.split(' ').map(Number);
    expect(agent).toEqual([AGENT_EXIT.enrolmentRefused, AGENT_EXIT.revoked, AGENT_EXIT.noIsolation]);
    const role = values(unitOf('broker'), 'RestartPreventExitStatus')[0]?.split(' ').map(Number);
    expect(role).toEqual([EXIT.usage, EXIT.disk, EXIT.configuration]);
  });

  it('of an agent lets it keep jobs apart by namespaces', () => {
    const forbidden = [
      'RestrictNamespaces',
      'ProtectProc',
      'ProtectKernelTunables',
      'ProtectControlGroups',
      'ProtectKernelLogs',
    ];
    for (const key of forbidden) expect(values(unitOf('agent@'), key)).toEqual([]);
  });

  const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;
  it.skipIf(!hasSystemd)('are what systemd understands (left out where it has no systemd-analyze)', () => {
    const files = units.map((unit) => join(project, unit));
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', ...files], { encoding: 'utf8' });
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});
