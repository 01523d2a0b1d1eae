import { loadConfiguration } from '../configuration/load.ts';
import { frameworkRole, frameworkRolesIn } from '../installation.ts';
import { type Finding, found, ok } from './finding.ts';
import { checkFrameworks } from './frameworks.ts';
import { checkBrokerTime } from './server-clock.ts';

/** A host to which adapters of frameworks were copied has nothing else; undefined where it has none of them. */
export async function ofAdaptersAlone(directory: string): Promise<readonly Finding[] | undefined> {
  const here = await frameworkRolesIn(directory);
  if (here.length === 0) return undefined;
  const { settings } = await loadConfiguration({ directory, environment: process.env });
  const frameworks = Object.fromEntries(
    Object.entries(settings.frameworks).filter(([name]) => here.includes(frameworkRole(name))),
  );
  return [
    ok('configuration', 'read and sound; adapters of frameworks are all there is in this folder'),
    ...(await checkFrameworks(directory, { ...settings, frameworks })),
    ...(await found('clock', () => checkBrokerTime(settings))),
  ];
}
