import { access, constants, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openCeiling } from '../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../adapters/jobs/kit/credential-files.ts';
import type { FrameworkSettings } from '../../adapters/jobs/kit/framework-kind.ts';
import { LOCK_FILE } from '../../adapters/jobs/kit/held-folder.ts';
import { inquire } from '../../adapters/jobs/kit/inquire.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import { createLog } from '../../protocol/runtime/log.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import { isLocked } from '../backup/locked-file.ts';
import { frameworkSettingsOf } from '../configuration/role-configurations.ts';
import type { Settings } from '../configuration/settings.ts';
import { safeLine } from '../display/safe-text.ts';
import { FRAMEWORK_KINDS } from '../framework-kinds.ts';
import { frameworkRole, generatedFile, roleDirectory } from '../installation.ts';
import { type Finding, found, ok, problem, warning } from './finding.ts';
import { openable, permission } from './installation.ts';
import { judgeTime } from './server-clock.ts';

const OF_OTHERS = 0o077;
const HOUR_MS = 3_600_000;
/** Proxies and tokens live for hours, and are renewed by programs; people renew certificates. */
const SOON_MS = { short: HOUR_MS, long: 14 * 24 * HOUR_MS };
/** What Node says of a server whose certificate it does not believe. */
const NOT_BELIEVED = /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|ALTNAME/;
const NO_LOG = createLog('doctor', { level: 'silent' });

/**
 * Every framework that is configured: its folder, the files that it reads, its server, and both clocks. `isConnected` is what the broker
 * says of adapters; one that it hears and that does not run here has its files elsewhere.
 */
export async function checkFrameworks(
  directory: string,
  { frameworks }: Pick<Settings, 'frameworks'>,
  isConnected: (adapter: string) => boolean = () => false,
): Promise<readonly Finding[]> {
  const all = await Promise.all(
    Object.entries(frameworks).map(([name, entry]) =>
      found(`framework ${name}`, async () =>
        !runsHere(directory, name) && isConnected(name)
          ? ok(`framework ${name}`, 'its adapter runs on another host: co-pilot doctor there has more')
          : checkOne(directory, name, frameworkSettingsOf(entry), nodeClock),
      ),
    ),
  );
  return all.flat();
}

function runsHere(directory: string, name: string): boolean {
  return isLocked(join(roleDirectory(directory, frameworkRole(name)), LOCK_FILE));
}

async function checkOne(
  directory: string,
  name: string,
  settings: FrameworkSettings,
  clock: Clock,
): Promise<readonly Finding[]> {
  const [part, credential, ceiling] = await Promise.all([
    checkPart(directory, name),
    checkCredential(name, settings, clock),
    checkCeiling(name, settings, clock),
  ]);
  const isUsable = credential.every(({ status }) => status !== 'problem');
  return [...part, ...credential, ceiling, ...(isUsable ? await checkServer(name, settings, clock) : [])];
}

async function checkPart(directory: string, name: string): Promise<readonly Finding[]> {
  const role = frameworkRole(name);
  const folder = roleDirectory(directory, role);
  const what = `framework ${name}`;
  const isThere = await stat(generatedFile(directory, role)).then(
    () => true,
    () => false,
  );
  if (!isThere) return [warning(what, `it has no part in ${folder} yet`, 'co-pilot up makes it')];
  const own = process.getuid?.();
  const modes = await Promise.all([
    permission(folder, 'chmod 700', own),
    permission(generatedFile(directory, role), 'chmod 600', own),
  ]);
  const runs = runsHere(directory, name)
    ? [ok(what, 'its adapter runs')]
    : [
        warning(what, 'its adapter does not run', `co-pilot up, or co-pilot up --role ${name}`),
        ...(await checkDatabases(folder)),
      ];
  return [...runs, ...modes.flat()];
}

/** Of an adapter that does not run: one that does has them to itself. */
async function checkDatabases(folder: string): Promise<readonly Finding[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sqlite') && name !== LOCK_FILE);
  return names.map((name) => openable(name, join(folder, name)));
}

async function checkCredential(
  name: string,
  { credential, url }: FrameworkSettings,
  clock: Clock,
): Promise<readonly Finding[]> {
  const what = `credential of ${name}`;
  const { certificateFile, keyFile, proxyFile, tokenFile, caFile } = credential;
  const secrets = { keyFile, proxyFile, tokenFile };
  const others = { certificateFile, caFile };
  const faults = await Promise.all([
    ...Object.entries(secrets).map(([key, path]) =>
      fileFault(what, `frameworks.${name}.${key}`, path, OF_OTHERS),
    ),
    ...Object.entries(others).map(([key, path]) => fileFault(what, `frameworks.${name}.${key}`, path, 0)),
  ]);
  const wrong = faults.flat();
  if (wrong.length > 0) return wrong;
  if ([certificateFile, proxyFile, tokenFile].every((path) => path === undefined))
    return [
      ok(
        what,
        url.startsWith('https:') || url.startsWith('wss:')
          ? 'none: the server must know us by other signs'
          : 'none',
      ),
    ];
  try {
    const files = await openCredentialFiles(credential, { clock, log: NO_LOG });
    files.stop();
    const isLong = certificateFile !== undefined && tokenFile === undefined;
    return [endOf(what, files.current().expiresMs, clock.wallMs(), isLong ? SOON_MS.long : SOON_MS.short)];
  } catch (caught) {
    return [problem(what, messageOf(caught), 'put the files there that belong together')];
  }
}

/** Nothing where there is no such file to be, or it is well. */
async function fileFault(
  what: string,
  key: string,
  path: string | undefined,
  forbidden: number,
): Promise<readonly Finding[]> {
  if (path === undefined) return [];
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return [problem(what, `${path} is not there`, `put it there, or correct ${key}`)];
  if (!found.isFile()) return [problem(what, `${path} is no file`, `correct ${key}`)];
  if ((found.mode & forbidden) !== 0)
    return [
      problem(
        what,
        `others may read ${path} (${(found.mode & 0o777).toString(8)})`,
        `chmod 600 ${path}, and have it replaced: it may be known`,
      ),
    ];
  const isReadable = await access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
  return isReadable
    ? []
    : [
        problem(
          what,
          `${path} cannot be read by this user`,
          `run this as the adapter’s user, or chown ${path} to it`,
        ),
      ];
}

function endOf(what: string, endMs: number | undefined, nowMs: number, soonMs: number): Finding {
  if (endMs === undefined) return ok(what, 'fits together, and names no end');
  const end = new Date(endMs).toISOString();
  if (endMs <= nowMs)
    return problem(what, `it ended ${end}`, 'renew it; the adapter reads the files again by itself');
  return endMs - nowMs < soonMs
    ? warning(what, `it ends ${end}`, 'renew it before; the adapter reads the files again by itself')
    : ok(what, `fits together, and ends ${end}`);
}

async function checkCeiling(
  name: string,
  { ceilingFile }: FrameworkSettings,
  clock: Clock,
): Promise<Finding> {
  const what = `ceiling of ${name}`;
  try {
    const ceiling = await openCeiling(ceilingFile, { clock, log: NO_LOG });
    ceiling.stop();
    const { jobs, wallSeconds } = ceiling.current();
    return ok(what, `${ceilingFile ?? 'the default'}: ${jobs} jobs at a time, ${wallSeconds} s each`);
  } catch (caught) {
    return problem(
      what,
      messageOf(caught),
      `correct ${ceilingFile ?? ''}, or frameworks.${name}.ceilingFile`,
    );
  }
}

async function checkServer(
  name: string,
  settings: FrameworkSettings,
  clock: Clock,
): Promise<readonly Finding[]> {
  const what = `server of ${name}`;
  const load = FRAMEWORK_KINDS[settings.kind];
  if (load === undefined)
    return [problem(what, `${settings.kind} is no kind that is known`, 'co-pilot config check')];
  const { answer, times } = await inquire({ name, kind: await load(), settings, clock, log: NO_LOG });
  const server =
    answer.kind === 'said'
      ? ok(what, safeLine(`${settings.url} ${answer.words}`))
      : serverFault(what, name, settings.url, answer.fault);
  return [server, ...times.map(judgeTime)];
}

function serverFault(what: string, name: string, url: string, fault: unknown): Finding {
  const { code } = toCoPilotError(fault);
  const detail = safeLine(`${url}: ${messageOf(fault)}`);
  switch (code) {
    case 'INVALID_CONFIGURATION':
      return problem(what, detail, `correct frameworks.${name} in the configuration`);
    case 'NOT_AUTHORIZED':
    case 'RESULT_REFUSED':
      return problem(what, detail, 'have the credential admitted there, or use one that is');
    default:
      return NOT_BELIEVED.test(detail)
        ? problem(what, detail, `name who vouches for the server: frameworks.${name}.caFile`)
        : problem(what, detail, 'see whether it is up, reached from here, and lets this credential in');
  }
}

function messageOf(caught: unknown): string {
  return safeLine(toCoPilotError(caught).message.split('\n')[0] ?? '');
}
