import { resolve } from 'node:path';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { CoPilotError } from '../../protocol/errors.ts';
import { createOutput, EXIT, show, table } from '../command-line.ts';
import {
  checkConfiguration,
  type Configuration,
  loadConfiguration,
  problemText,
} from '../configuration/load.ts';
import { type NamedPort, portFaults, settingPorts } from '../configuration/cross-checks.ts';
import { readSecret } from '../configuration/secret.ts';
import { variableOf } from '../configuration/override.ts';
import { originText, type Setting } from '../configuration/settings.ts';
import { generatedFile, readInstallation, unreadSettings } from '../installation.ts';
import { action, collect, type CommonOptions, withCommon } from './common.ts';
import schema from '../configuration/configuration.schema.json' with { type: 'json' };

interface ConfigOptions extends CommonOptions {
  readonly set: readonly string[];
}

/** One line of `config check`. */
interface Row {
  readonly key: string;
  readonly value: unknown;
  readonly origin: string;
  readonly variable: string;
}

const MASK = '********';

/** `co-pilot config …`: what is set, by whom, and whether it is right. */
export function addConfigCommands(program: Command): void {
  const config = program.command('config').description('look at the configuration');
  withSettings(config.command('check'))
    .description('check the configuration; show every effective value and where it comes from')
    .action(action(check));
  withSettings(config.command('show'))
    .description('print the effective configuration as YAML; references to secrets, never a secret')
    .action(action(showEffective));
  config.command('schema').description('print the JSON Schema of co-pilot.yaml').action(action(printSchema));
}

function withSettings(command: Command): Command {
  return withCommon(command).option('--set <key=value>', 'as up takes it', collect, []);
}

async function check(options: ConfigOptions): Promise<number> {
  const output = createOutput(options.json === true);
  const directory = resolve(options.data);
  const checked = await checkConfiguration({ directory, environment: process.env, flags: options.set });
  if (checked.kind === 'problems') {
    const problems = checked.problems.map(({ place, field, message }) => ({ place, field, message }));
    const texts = checked.problems.map(problemText);
    return refuse(output.json, problems, texts);
  }
  const faults = await secretFaults(checked.configuration);
  if (faults.length > 0)
    return refuse(
      output.json,
      faults,
      faults.map(({ message }) => message),
    );
  const generated = await generatedRows(directory, checked.configuration);
  const taken = generatedPortFaults(checked.configuration, generated);
  if (taken.length > 0)
    return refuse(
      output.json,
      taken,
      taken.map(({ field, message }) => `${field}: ${message}`),
    );
  const rows = checked.configuration.entries
    .map(rowOf)
    .map((row) => generated.find(({ key }) => row.value === null && key === row.key) ?? row);
  const warnings = await unreadWarnings(directory);
  const answer = { file: checked.configuration.file ?? null, settings: rows, warnings };
  show(output, answer, () => [
    ...table(
      ['KEY', 'VALUE', 'FROM'],
      rows.map(({ key, value, origin }) => [key, textOf(value), origin]),
    ),
    ...warnings.map((warning) => `warning: ${warning}`),
  ]);
  return EXIT.ok;
}

function refuse(json: boolean, problems: readonly object[], texts: readonly string[]): number {
  const output = createOutput(json);
  const message = texts.join('\n');
  if (json) output.write(JSON.stringify({ error: { code: 'INVALID_CONFIGURATION', message }, problems }));
  else
    output.note(
      `${message}\nco-pilot: ${texts.length} ${texts.length === 1 ? 'problem' : 'problems'} [INVALID_CONFIGURATION]`,
    );
  return EXIT.configuration;
}

function rowOf({ path, value, origin, isSecret }: Setting): Row {
  const masked = isSecret && value !== undefined ? MASK : value;
  return {
    key: path.join('.'),
    value: masked ?? null,
    origin: originText(origin),
    variable: variableOf(path),
  };
}

/** A reference that leads nowhere is told now, not when a program starts. */
async function secretFaults({ settings }: Configuration) {
  const checks = Object.entries(settings.secrets).map(async ([name, reference]) => {
    try {
      await readSecret(name, reference, process.env);
      return [];
    } catch (caught) {
      if (!(caught instanceof CoPilotError)) throw caught;
      return [{ place: '', field: `secrets.${name}`, message: caught.message }];
    }
  });
  return (await Promise.all(checks)).flat();
}

/** What was chosen at the first start where nobody has set it. */
async function generatedRows(directory: string, configuration: Configuration): Promise<readonly Row[]> {
  const installation = await readInstallation(directory, configuration);
  if (installation === undefined) return [];
  const { broker, bridge } = installation.configurations;
  const of = (key: string, value: unknown, role: 'broker' | 'bridge'): Row => ({
    key,
    value,
    origin: generatedFile(directory, role),
    variable: variableOf(key.split('.')),
  });
  const { ports, secrets } = configuration.settings;
  return [
    ...(ports.bus === undefined ? [of('ports.bus', broker.busPort, 'broker')] : []),
    ...(ports.enrolment === undefined ? [of('ports.enrolment', broker.enrolmentPort, 'broker')] : []),
    ...(ports.bridge === undefined ? [of('ports.bridge', bridge.port, 'bridge')] : []),
    ...(secrets.operatorToken === undefined ? [of('secrets.operatorToken', MASK, 'bridge')] : []),
  ];
}

/** A port that a person set may be one that was chosen at the first start. */
function generatedPortFaults({ settings }: Configuration, generated: readonly Row[]) {
  const chosen = generated.flatMap(({ key, value }): readonly NamedPort[] =>
    typeof value === 'number' ? [{ path: key.split('.'), port: value }] : [],
  );
  return portFaults([...chosen, ...settingPorts(settings)]).map(({ path, message }) => ({
    place: '',
    field: path.join('.'),
    message,
  }));
}

async function unreadWarnings(directory: string): Promise<readonly string[]> {
  const unread = await unreadSettings(directory);
  return [...unread].map(
    ([file, keys]) => `${file} has ${keys.join(', ')}, which is not read from there: set it in co-pilot.yaml`,
  );
}

function textOf(value: unknown): string {
  if (value === null) return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

async function showEffective(options: ConfigOptions): Promise<number> {
  const given = { directory: resolve(options.data), environment: process.env, flags: options.set };
  const { settings } = await loadConfiguration(given);
  show(createOutput(options.json === true), settings, () => [stringify(settings).trimEnd()]);
  return EXIT.ok;
}

async function printSchema(): Promise<number> {
  createOutput(false).write(JSON.stringify(schema, null, 2));
  return EXIT.ok;
}
