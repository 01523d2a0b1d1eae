import { readFile } from 'node:fs/promises';
import type { VolunteerCheck } from '../adapters/jobs/cms-at-home/cms-at-home-adapter.ts';
import { startQueue } from '../adapters/jobs/cms-at-home/main.ts';
import type { FrameworkKind, FrameworkProgramOptions } from '../adapters/jobs/kit/framework-kind.ts';
import { createBoincJudge } from '../broker/enrolment/boinc/boinc-method.ts';
import { createMariadbBoincProject } from '../broker/enrolment/boinc/mariadb-boinc-project.ts';
import { CoPilotError } from '../protocol/errors.ts';
import { createNodeRuntime } from '../protocol/runtime/node-runtime.ts';

/** The queue of CMS@home, whose volunteers are checked as enrolment checks them: an adapter knows nothing of a broker's parts. */
export const CMS_AT_HOME: FrameworkKind = {
  startAdapter: async (options) => startQueue(options, await volunteerCheck(options)),
};

async function volunteerCheck({ configuration, log }: FrameworkProgramOptions): Promise<VolunteerCheck> {
  const { options } = configuration.framework;
  if (options['servesVolunteers'] !== true) return () => Promise.resolve(false);
  const text = (key: string): string | undefined => {
    const value = options[key];
    if (value === undefined || typeof value === 'string') return value;
    throw new CoPilotError('INVALID_CONFIGURATION', `options.${key} is a text`);
  };
  const url = text('boincUrl');
  if (url === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'options.boincUrl has to be set where volunteers are served',
    );
  const passwordFile = text('boincPasswordFile');
  const password =
    passwordFile === undefined ? {} : { password: (await readFile(passwordFile, 'utf8')).trimEnd() };
  const caFile = text('boincCaFile');
  const place = { url, ...password, ...(caFile !== undefined && { caFile }) };
  const project = text('boincProject') ?? 'cms-at-home';
  const judge = createBoincJudge(
    { project, site: project, tier: 'untrusted', requireHost: false },
    createMariadbBoincProject({ place, log }),
    createNodeRuntime(log),
  );
  return async (user, authenticator) => (await judge({ user, authenticator })).kind === 'known';
}
