import { readFile, stat } from 'node:fs/promises';
import type { VolunteerCheck } from '../adapters/jobs/cms-at-home/cms-at-home-adapter.ts';
import { readCmsAtHomeOptions } from '../adapters/jobs/cms-at-home/cms-at-home-options.ts';
import { startQueue } from '../adapters/jobs/cms-at-home/main.ts';
import type {
  FrameworkInquiry,
  FrameworkKind,
  FrameworkProgramOptions,
  FrameworkSettings,
} from '../adapters/jobs/kit/framework-kind.ts';
import { createBoincJudge } from '../broker/enrolment/boinc/boinc-method.ts';
import type { BoincProject } from '../broker/enrolment/boinc/boinc-project.ts';
import { createMariadbBoincProject } from '../broker/enrolment/boinc/mariadb-boinc-project.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { createNodeRuntime } from '../protocol/runtime/node-runtime.ts';
import type { Log } from '../protocol/runtime/runtime.ts';

const OF_OTHERS = 0o077;

/** The queue of CMS@home, whose volunteers are checked as enrolment checks them: an adapter knows nothing of a broker's parts. */
export const CMS_AT_HOME: FrameworkKind = {
  startAdapter: async (options) => startQueue(options, await volunteerCheck(options)),
  introduce,
};

async function volunteerCheck({ configuration, log }: FrameworkProgramOptions): Promise<VolunteerCheck> {
  const { framework } = configuration;
  const project = await projectOf(framework, log);
  if (project === undefined) return () => Promise.resolve(false);
  const name = textOf(framework, 'boincProject') ?? 'cms-at-home';
  const judge = createBoincJudge(
    { project: name, site: name, tier: 'untrusted', requireHost: false },
    project,
    createNodeRuntime(log),
  );
  return async (user, authenticator) => (await judge({ user, authenticator })).kind === 'known';
}

/** It is a server itself: what it asks is BOINC's accounts. */
async function introduce({ settings, log }: FrameworkInquiry): Promise<string> {
  readCmsAtHomeOptions(settings);
  const project = await projectOf(settings, log);
  if (project === undefined) return 'is served by this adapter, to producers alone';
  // Of nobody: an answer is enough.
  await project.user(0);
  return 'is served by this adapter, and BOINC’s accounts can be read';
}

/** Where BOINC's accounts are; undefined where no volunteer is served. */
async function projectOf(settings: FrameworkSettings, log: Log): Promise<BoincProject | undefined> {
  if (settings.options['servesVolunteers'] !== true) return undefined;
  const url = textOf(settings, 'boincUrl');
  if (url === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'options.boincUrl has to be set where volunteers are served',
    );
  const passwordFile = textOf(settings, 'boincPasswordFile');
  const caFile = textOf(settings, 'boincCaFile');
  const place = {
    url,
    ...(passwordFile !== undefined && { password: await passwordIn(passwordFile) }),
    ...(caFile !== undefined && { caFile }),
  };
  return createMariadbBoincProject({ place, log });
}

function textOf({ options }: FrameworkSettings, key: string): string | undefined {
  const value = options[key];
  if (value === undefined || typeof value === 'string') return value;
  throw new CoPilotError('INVALID_CONFIGURATION', `options.${key} is a text`);
}

async function passwordIn(path: string): Promise<string> {
  const file = await stat(path).catch((cause: unknown) => {
    throw new CoPilotError('INVALID_CONFIGURATION', `options.boincPasswordFile: ${path} cannot be read`, {
      cause,
    });
  });
  if ((file.mode & OF_OTHERS) !== 0)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      `options.boincPasswordFile: others may read ${path}: run chmod 600 on it, and consider the password known`,
    );
  return (await readFile(path, 'utf8')).trimEnd();
}
