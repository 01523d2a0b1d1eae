/** A process that stands for `co-pilot up`: starts the agent driver in a jail, with the descriptors it has itself. */
import { spawn } from 'node:child_process';
import { coverInherited } from '../../../agent/executors/inherited-descriptors.ts';
import { jailCommand, type JailSpec } from '../../../agent/executors/jail-command.ts';
import type { IsolationMethod } from '../../../agent/executors/launcher.ts';

const [method = '', spec = ''] = process.argv.slice(2);
const jailed = jailCommand(method as IsolationMethod, JSON.parse(spec) as JailSpec);
const child = spawn(jailed.file, jailed.args, {
  ...jailed.options,
  stdio: coverInherited(['inherit', 'inherit', 'inherit'], 2),
});
child.once('exit', (code) => {
  process.exitCode = code ?? 1;
});
