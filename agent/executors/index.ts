export {
  collectOutputs,
  openOutput,
  type CollectedOutput,
  type DeclaredOutput,
  type OpenedOutput,
  type OutputProblem,
  type RefusedOutput,
} from './collect-outputs.ts';
export { detectIsolation, type Attempt, type Detection, type DetectionOptions } from './detect-isolation.ts';
export { coverInherited, inheritedDescriptors } from './inherited-descriptors.ts';
export { jailCommand, type JailCommand, type JailSpec } from './jail-command.ts';
export { openJobDirectory, removeJobDirectory } from './job-directory.ts';
export type {
  Ending,
  Exit,
  IsolationMethod,
  JobSignal,
  Launcher,
  LaunchSpec,
  LimitName,
  Limits,
  Running,
  Usage,
} from './launcher.ts';
export { createMemoryLauncher, type MemoryLauncher, type ScriptedJob } from './memory-launcher.ts';
export { createProcessLauncher, type ProcessLauncherOptions } from './process-launcher.ts';
export { createUidPool, defaultUidRange, type UidPool, type UidRange } from './uid-pool.ts';
