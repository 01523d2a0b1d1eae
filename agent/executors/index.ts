export { detectIsolation, type Detection } from './detect-isolation.ts';
export { coverInherited } from './inherited-descriptors.ts';
export { jailCommand } from './jail-command.ts';
export type { IsolationMethod, Launcher, LaunchSpec, Running } from './launcher.ts';
export { createMemoryLauncher, type MemoryLauncher, type ScriptedJob } from './memory-launcher.ts';
