import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { environmentIn } from '../../../agent/environment/environment-file.ts';
import { createJail } from '../../../agent/environment/jail.ts';
import type { Jail, SiteProgramEnd } from '../../../agent/environment/jail.ts';
import type { Admission, JobEnvironment } from '../../../agent/environment/job-environment.ts';
import { openSiteEnvironment } from '../../../agent/environment/site-environment.ts';
import { createProcessLauncher } from '../../../agent/executors/process-launcher.ts';
import { createNodeRuntime } from '../../../protocol/runtime/node-runtime.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { dirname } from 'node:path';

const NEVER = new AbortController().signal;

/** A host with a site's files on it, and jobs in real jails. */
export interface SiteStage {
  /** Where the site's files lie. */
  readonly site: string;
  readonly cvmfsRoot: string;
  /** A file that only the agent may read. */
  readonly secretFile: string;
  open(settings: string): Promise<JobEnvironment>;
  /** What a job with these extras says that runs a line of shell. */
  job(admission: Admission, line: string): Promise<SiteProgramEnd>;
  /** A bundle of programs, by name; answers the settings that name it. */
  bundle(programs: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
}

export async function setSite(): Promise<SiteStage> {
  const base = await temporaryDirectory('site');
  await chmod(base, 0o711);
  const [directory, site, cvmfsRoot] = ['agent', 'site', 'cvmfs'].map((name) => join(base, name)) as [
    string,
    string,
    string,
  ];
  await mkdir(directory, { mode: 0o711 });
  for (const path of [site, cvmfsRoot]) await mkdir(path);
  const secretFile = join(directory, 'keys.json');
  await writeFile(secretFile, 'the secret of the agent', { mode: 0o600 });
  const { clock, crypto } = createNodeRuntime(silentLog);
  const node = dirname(process.execPath);
  const launcher = createProcessLauncher('bubblewrap', { clock });
  const surroundings = {
    readOnly: node.startsWith('/usr/') ? [] : [node],
    hiddenPaths: [secretFile],
    path: `${node}:/usr/bin:/bin`,
    variables: {},
    wrap: [],
    network: 'host',
  } as const;
  const jail: Jail = createJail({ launcher, directory, surroundings });
  return {
    site,
    cvmfsRoot,
    secretFile,
    open: (settings) =>
      openSiteEnvironment(environmentIn(settings, site), {
        jail,
        network: 'none',
        clock,
        crypto,
        log: silentLog,
        cvmfsRoot,
      }),
    job(admission, line) {
      if (admission.kind !== 'fit') throw new Error(`not fit: ${JSON.stringify(admission)}`);
      return jail.run(
        {
          command: 'sh',
          arguments: ['-c', line],
          files: {},
          wallSeconds: 30,
          network: 'host',
          extras: admission.extras,
        },
        NEVER,
      );
    },
    async bundle(programs) {
      const folder = join(site, 'bundle', 'validate.d');
      await mkdir(folder, { recursive: true });
      for (const [name, text] of Object.entries(programs))
        await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      const file = join(site, 'checks.tar.gz');
      execFileSync('tar', ['-czf', file, '-C', join(site, 'bundle'), 'validate.d']);
      const sha256 = createHash('sha256')
        .update(await readFile(file))
        .digest('hex');
      return `validation: {bundle: checks.tar.gz, sha256: ${sha256}, wallSeconds: 5}`;
    },
    close: () => removeDirectory(base),
  };
}

export function admit(environment: JobEnvironment): Promise<Admission> {
  return environment.admit(NEVER);
}
