import { CoPilotError } from '../../protocol/errors.ts';
import type { LaunchSpec, Limits } from './launcher.ts';

const maxArguments = 1024;
const maxArgumentBytes = 65_536;
const maxVariables = 256;
const maxEnvironmentBytes = 131_072;
/** The kernel takes no single string of 128 KiB. */
const maxVariableBytes = 65_536;
const maxPaths = 64;
const maxPathLength = 1024;
const variableName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;
/** Colons would break the passwd line, backslashes and control characters the kernel's mount table. */
const pathCharacters = /^[^\p{Cc}:\\]+$/u;
const systemTrees = [
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/libx32',
  '/etc',
  '/proc',
  '/dev',
  '/sys',
];

const refuse = (message: string): never => {
  throw new CoPilotError('LAUNCH_REFUSED', message);
};

/** Whether `path` is `ancestor` or lies below it; both absolute and normalised. */
export function isWithin(path: string, ancestor: string): boolean {
  return path === ancestor || path.startsWith(ancestor === '/' ? '/' : `${ancestor}/`);
}

const isNormalised = (path: string): boolean =>
  path.startsWith('/') &&
  path
    .slice(1)
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..');

function checkPath(path: string, what: string): void {
  if (path.length > maxPathLength || !isNormalised(path) || !pathCharacters.test(path)) {
    refuse(
      `${what} is no absolute, normalised path of plain characters: ${JSON.stringify(path.slice(0, 200))}`,
    );
  }
}

function checkCommand(spec: CheckedParts): void {
  const { command } = spec;
  if (command === '' || command.startsWith('-') || command.includes('=') || command.includes('\0')) {
    refuse('the command is empty, begins with a dash, or holds = or NUL');
  }
  if (spec.arguments.length > maxArguments) refuse(`more than ${maxArguments} arguments`);
  const bytes = spec.arguments.reduce((sum, argument) => sum + Buffer.byteLength(argument), command.length);
  if (bytes > maxArgumentBytes) refuse(`arguments longer than ${maxArgumentBytes} bytes`);
  if (spec.arguments.some((argument) => argument.includes('\0'))) refuse('an argument holds NUL');
}

function checkEnvironment(environment: Readonly<Record<string, string>>): void {
  const pairs = Object.entries(environment);
  if (pairs.length > maxVariables) refuse(`more than ${maxVariables} environment variables`);
  for (const [name, value] of pairs) {
    if (!variableName.test(name))
      refuse(`no environment variable name: ${JSON.stringify(name.slice(0, 200))}`);
    if (value.includes('\0')) refuse(`the environment variable ${name} holds NUL`);
    if (Buffer.byteLength(value) > maxVariableBytes) refuse(`the environment variable ${name} is too long`);
  }
  const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + Buffer.byteLength(value) + 2, 0);
  if (bytes > maxEnvironmentBytes) refuse(`an environment longer than ${maxEnvironmentBytes} bytes`);
}

function checkPaths(spec: CheckedParts): void {
  checkPath(spec.workDirectory, 'the work directory');
  const hidden = spec.hiddenPaths ?? [];
  if (spec.readOnly.length + hidden.length > maxPaths) refuse(`more than ${maxPaths} paths`);
  for (const path of spec.readOnly) checkPath(path, 'a read-only path');
  for (const path of hidden) checkPath(path, 'a hidden path');
  if (systemTrees.some((tree) => isWithin(spec.workDirectory, tree)))
    refuse('the work directory lies in a system tree');
  if (spec.readOnly.some((path) => isWithin(path, spec.workDirectory))) {
    refuse('a read-only path is the work directory or lies in it');
  }
  if (hidden.some((path) => isWithin(path, spec.workDirectory))) {
    refuse('a hidden path is the work directory or lies in it');
  }
}

/** What a whole launch and a bare jail have in common. */
export type CheckedParts = Pick<
  LaunchSpec,
  'command' | 'arguments' | 'environment' | 'workDirectory' | 'readOnly' | 'hiddenPaths'
> & { readonly limits: Omit<Limits, 'wallSeconds' | 'files'> };

const isAmount = (value: number | undefined): boolean =>
  value === undefined ||
  (Number.isFinite(value) && value > 0 && value <= Number.MAX_SAFE_INTEGER / 1_048_576);

/** Throws `LAUNCH_REFUSED` naming the first thing wrong: sizes, names, paths that escape or overlap, limits that are no amounts. */
export function checkSpec(spec: CheckedParts): void {
  checkCommand(spec);
  checkEnvironment(spec.environment);
  checkPaths(spec);
  const limits: Readonly<Record<string, number | undefined>> = { ...spec.limits };
  for (const [name, value] of Object.entries(limits)) {
    if (!isAmount(value)) refuse(`the limit ${name} is no positive amount`);
  }
}
