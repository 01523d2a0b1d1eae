import { truthOf, evaluate, type Expression, parseExpression } from '../../../protocol/classad/index.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import {
  type Jdl,
  jdlFiles,
  jdlInteger,
  jdlList,
  jdlMegabytes,
  jdlSeconds,
  jdlText,
  jdlValue,
  parseEscapedJdl,
  writeJdl,
} from '../../../protocol/jdl/index.ts';
import { parseAd } from '../../../protocol/classad/index.ts';
import type { AlienJob } from './central.ts';
import { isLfn } from './catalogue.ts';
import { hostClassAd, type HostClass } from './host-ad.ts';
import { type OutputPlan, outputPlan, homeOf } from './output-plan.ts';

/** A file of the catalogue that the job needs, and what it is called in the job directory. */
export interface WantedInput {
  /** Where it is looked for, in this order: a program without a directory is in one of several. */
  readonly lfns: readonly string[];
  readonly name: string;
  readonly isExecutable: boolean;
}

/** A description of AliEn's in our words; `jdl-table.ts` says which attribute becomes what. */
export interface DescribedJob {
  readonly inputs: readonly WantedInput[];
  /** Written into the job directory under their names. */
  readonly texts: readonly { readonly name: string; readonly text: string }[];
  readonly executable: string;
  readonly validation: string | undefined;
  readonly arguments: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly outputs: OutputPlan;
  readonly limits: { readonly wallSeconds: number; readonly memoryMiB: number; readonly diskMiB: number };
  readonly requirements: string;
  readonly master: string | undefined;
}

/** Seconds that a job may run past its time to live. */
const GRACE_SECONDS = 600;
const DEFAULT_TTL = 21_600;
const MOST_INPUTS = 1024;
const PROGRAM_DIRECTORIES = ['/alice/cern.ch/bin/', '/alice/bin/', '/bin/', '/panda/bin/'];

/** Throws `JDL_SYNTAX` where the description cannot be run, `INVALID_REQUEST` where it does not fit the host class. */
export function describeJob(text: string, job: AlienJob, hosts: HostClass, extra: string): DescribedJob {
  const jdl = parseEscapedJdl(text);
  const limits = limitsOf(jdl, hosts);
  requireMatch(jdl, hosts, limits);
  const user = jdlText(jdl, 'User') ?? job.user;
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(user)) throw refused('User is no name');
  const executable = programOf(jdl, 'Executable', user);
  if (executable === undefined) throw refused('there is no Executable');
  const validation = programOf(jdl, 'ValidationCommand', user);
  return {
    inputs: uniqueInputs([executable, ...(validation === undefined ? [] : [validation]), ...filesOf(jdl)]),
    texts: inputList(jdl),
    executable: executable.name,
    validation: validation?.name,
    arguments: argumentsOf(jdl),
    environment: environmentOf(jdl, job, user),
    outputs: outputPlan(jdl, job.id, user),
    limits,
    requirements: [extra, coresOf(jdl) > 1 ? `other.Cpus >= ${coresOf(jdl)}` : '']
      .filter((part) => part !== '')
      .map((part) => `(${part})`)
      .join(' && '),
    master: plainId(jdlText(jdl, 'MasterJobID')),
  };
}

function limitsOf(jdl: Jdl, hosts: HostClass): DescribedJob['limits'] {
  const ttl = jdlValue(jdl, 'TTL') === undefined ? DEFAULT_TTL : jdlSeconds(jdl, 'TTL');
  if (ttl === undefined || ttl < 1) throw refused('TTL is no time');
  return {
    wallSeconds: ttl + GRACE_SECONDS,
    memoryMiB: Math.max(16, jdlMegabytes(jdl, 'MemorySize') ?? hosts.memory),
    diskMiB: Math.max(1, jdlMegabytes(jdl, 'WorkDirectorySize') ?? hosts.disk),
  };
}

/** Both requirements must be true, and what the class offers must be enough. */
function requireMatch(jdl: Jdl, hosts: HostClass, limits: DescribedJob['limits']): void {
  const lacking = [
    ['TTL', limits.wallSeconds - GRACE_SECONDS, hosts.ttlSeconds],
    ['memory', limits.memoryMiB, hosts.memory],
    ['disk', limits.diskMiB, hosts.disk],
    ['cores', coresOf(jdl), hosts.cores],
  ].find(([, wanted = 0, offered = 0]) => wanted > offered);
  if (lacking !== undefined)
    throw unfit(`it wants ${lacking[0]} of ${lacking[1]}, and hosts here offer ${lacking[2]}`);
  const requirements = jdlText(jdl, 'Requirements')?.trim() ?? '';
  if (requirements === '') return;
  const truth = truthOf(evaluate(expressionIn(requirements), { my: jobAd(jdl), target: hostClassAd(hosts) }));
  if (truth !== 'true') throw unfit(`its requirements are ${truth} for hosts here`);
}

function expressionIn(text: string): Expression {
  try {
    return parseExpression(text);
  } catch (cause) {
    throw new CoPilotError('JDL_SYNTAX', 'JDL: Requirements are no expression', { cause });
  }
}

/** The job's own side of a match; what cannot be written as a ClassAd is not looked at by any host. */
function jobAd(jdl: Jdl): ReturnType<typeof parseAd> {
  const known = ['Type', 'User', 'TTL', 'Price', 'CPUCores'];
  const attributes = jdl.filter(({ name }) => known.some((one) => one.toLowerCase() === name.toLowerCase()));
  return parseAd(writeJdl(attributes.filter(({ value }) => value.kind !== 'expression')));
}

function coresOf(jdl: Jdl): number {
  return jdlInteger(jdl, 'CPUCores') ?? 1;
}

function programOf(jdl: Jdl, attribute: string, user: string): WantedInput | undefined {
  const text = jdlText(jdl, attribute)?.trim() ?? '';
  if (text === '') return undefined;
  const lfn = text.replace(/^LF:/, '').replace(/^~\//, homeOf(user));
  const path = jdlText(jdl, 'JDLPath');
  const near = path?.includes('/') === true ? [path.slice(0, path.lastIndexOf('/') + 1)] : [];
  const lfns = lfn.startsWith('/')
    ? [lfn]
    : [...near, `${homeOf(user)}bin/`, ...PROGRAM_DIRECTORIES].map((directory) => `${directory}${lfn}`);
  if (!lfns.every(isLfn)) throw refused(`${attribute} is no file of the catalogue`);
  return { lfns, name: fileName(lfn), isExecutable: true };
}

function filesOf(jdl: Jdl): readonly WantedInput[] {
  const names = ['InputFile', 'InputBox', 'InputData', 'InputDataCollection'];
  const files = names.flatMap((name) => jdlFiles(jdl, name)).filter((file) => file.isDownloaded);
  return files.map(({ lfn }) => {
    if (!isLfn(lfn))
      throw refused(`the input ${JSON.stringify(lfn.slice(0, 60))} is no file of the catalogue`);
    return { lfns: [lfn], name: fileName(lfn), isExecutable: /\.(?:sh|py|pl)$/.test(lfn) };
  });
}

/** The same file may be named twice; two files of one name cannot be told apart in the job directory. */
function uniqueInputs(inputs: readonly WantedInput[]): readonly WantedInput[] {
  const byName = new Map<string, WantedInput>();
  for (const input of inputs) {
    const known = byName.get(input.name);
    if (known !== undefined && known.lfns[0] !== input.lfns[0])
      throw refused(`two inputs are called ${input.name}`);
    byName.set(input.name, { ...input, isExecutable: input.isExecutable || known?.isExecutable === true });
  }
  if (byName.size > MOST_INPUTS) throw refused(`more than ${MOST_INPUTS} inputs`);
  return [...byName.values()];
}

function fileName(lfn: string): string {
  const name = lfn.slice(lfn.lastIndexOf('/') + 1);
  if (!/^[A-Za-z0-9_+=,@%.-]{1,99}$/.test(name) || /^(?:-|\.\.?$|co-pilot-)/.test(name))
    throw refused(`the input ${JSON.stringify(name.slice(0, 60))} has no plain name`);
  return name;
}

function inputList(jdl: Jdl): DescribedJob['texts'] {
  const name = jdlText(jdl, 'InputDataList')?.trim() ?? '';
  const lfns = jdlFiles(jdl, 'InputData').map(({ lfn }) => lfn);
  if (name === '' || lfns.length === 0) return [];
  if (!lfns.every(isLfn)) throw refused('an input is no file of the catalogue');
  const format = jdlText(jdl, 'InputDataListFormat') ?? 'xml-single';
  return [
    { name: fileName(name), text: format === 'txt-list' ? `${lfns.join('\n')}\n` : collection(name, lfns) },
  ];
}

function collection(name: string, lfns: readonly string[]): string {
  const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  const events = lfns.map(
    (lfn, at) =>
      `    <event name="${at + 1}">\n      <file name="${escaped(fileName(lfn))}" lfn="${escaped(lfn)}" turl="alien://${escaped(lfn)}"/>\n    </event>\n`,
  );
  return `<?xml version="1.0"?>\n<alien>\n  <collection name="${escaped(name)}">\n${events.join('')}  </collection>\n</alien>\n`;
}

function argumentsOf(jdl: Jdl): readonly string[] {
  const words = jdlList(jdl, 'Arguments').flatMap((text) => text.split(/\s+/));
  const value = jdlValue(jdl, 'Arguments');
  const all = value?.kind === 'integer' || value?.kind === 'real' ? [String(value.value)] : words;
  const found = all.filter((word) => word !== '');
  if (found.length > 200 || found.some((word) => word.includes('\0')))
    throw refused('Arguments are too many');
  return found;
}

/** What the job finds in its environment. The job's token is not there: it speaks to the queue, and the job has no business with it. */
function environmentOf(jdl: Jdl, job: AlienJob, user: string): Readonly<Record<string, string>> {
  const variables = jdlList(jdl, 'JDLVariables').flatMap((name) => {
    const value = jdlValue(jdl, name);
    if (value === undefined || !/^\w{1,100}$/.test(name)) return [];
    const text = value.kind === 'list' ? value.items.join('##') : (jdlText(jdl, name) ?? '');
    return [[`ALIEN_JDL_${name.toUpperCase()}`, text] as const];
  });
  const packages = jdlList(jdl, 'Packages');
  const master = plainId(jdlText(jdl, 'MasterJobID'));
  const all = {
    ...Object.fromEntries(variables),
    ALIEN_PROC_ID: job.id,
    ALIEN_USER: user,
    ...(packages.length > 0 && { ALIEN_PACKAGES: packages.join(',') }),
    ...(master !== undefined && { ALIEN_MASTERJOBID: master }),
  };
  if (
    Object.keys(all).length > 128 ||
    Object.values(all).some((text) => text.length > 4096 || text.includes('\0'))
  )
    throw refused('JDLVariables are too long for an environment');
  return all;
}

function plainId(text: string | undefined): string | undefined {
  return text !== undefined && /^[1-9][0-9]{0,18}$/.test(text) ? text : undefined;
}

function refused(why: string): CoPilotError {
  return new CoPilotError('JDL_SYNTAX', `JDL: ${why}`);
}

function unfit(why: string): CoPilotError {
  return new CoPilotError('INVALID_REQUEST', why);
}
