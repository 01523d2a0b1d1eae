import { join } from 'node:path';
import {
  createCmsAtHomeAdapter,
  type CmsAtHomeAdapter,
} from '../../../adapters/jobs/cms-at-home/cms-at-home-adapter.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import type { OptionValue } from '../../../adapters/jobs/kit/framework-kind.ts';
import { openRefusedJobs, type RefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { createBoincJudge } from '../../../broker/enrolment/boinc/boinc-method.ts';
import { createMemoryBoincProject } from '../../../broker/enrolment/boinc/memory-boinc-project.ts';
import { createCrypto, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { deafAccepted } from '../../doubles/deaf-accepted.ts';
import { deafRefusals } from '../../doubles/deaf-refusals.ts';
import { BOINC_ROWS } from '../../doubles/boinc-tables.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { type SmallBridge, startSmallBridge } from '../../doubles/small-bridge.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

export const VOLUNTEER = `4711:${BOINC_ROWS.users.get(4711)!.authenticator}`;
export const OTHER = `4712:${BOINC_ROWS.users.get(4712)!.authenticator}`;

/** The queue with old clients of both sides around it. */
export interface CmsWorld {
  readonly adapter: CmsAtHomeAdapter;
  readonly bridge: SmallBridge;
  readonly clock: ManualClock;
  /** A call with the Basic authentication of a volunteer, or none. */
  call(method: string, path: string, options?: CallOptions): Promise<Response>;
  /** A producer puts a job with its script in. */
  put(id: string, script?: string): Promise<void>;
  reopen(options?: Readonly<Record<string, OptionValue>>): Promise<void>;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly as?: string;
  readonly isProducer?: boolean;
  readonly form?: string;
  readonly body?: string | URLSearchParams;
}

export async function openCmsWorld(options: Readonly<Record<string, OptionValue>> = {}): Promise<CmsWorld> {
  const directory = await temporaryDirectory('cms-at-home');
  const clock = createManualClock();
  const bridge = await startSmallBridge();
  const judge = createBoincJudge(
    { project: 'cms', site: 'cms', tier: 'untrusted', requireHost: false },
    createMemoryBoincProject(BOINC_ROWS.users, BOINC_ROWS.hosts),
    { clock, crypto: createCrypto(), random: nodeRandom },
  );
  const noted: RefusedJobs[] = [];
  const open = async (more: Readonly<Record<string, OptionValue>>): Promise<CmsAtHomeAdapter> => {
    const credential = await openCredentialFiles({}, { clock, log: silentLog });
    const ceiling = await openCeiling(undefined, { clock, log: silentLog });
    const refused = await openRefusedJobs(join(directory, 'refused.jsonl'), { clock, log: silentLog });
    noted.push(refused);
    const url = 'http://127.0.0.1:1';
    const openHttp = () => createFrameworkHttp({ url, credential, timeoutMs: 1000, maxAnswerBytes: 1000 });
    const settings = {
      kind: 'cms-at-home',
      url,
      queues: { cms: 'jobs' },
      credential: {},
      attempts: 1,
      options: { servesVolunteers: true, requirements: '', ...more },
    };
    const given = {
      clock,
      random: nodeRandom,
      log: silentLog,
      name: 'cms',
      settings,
      openHttp,
      credential,
      ceiling,
      refused: deafRefusals,
      accepted: deafAccepted,
    };
    return createCmsAtHomeAdapter(
      { ...given, http: await openHttp(), refused, bridge: bridge.access },
      {
        directory,
        volunteer: async (user, authenticator) => (await judge({ user, authenticator })).kind === 'known',
        isProducer: ({ headers }) => headers['x-test-producer'] === 'yes',
      },
    );
  };
  let adapter = await open(options);

  const call = (
    method: string,
    path: string,
    { as, isProducer = false, form, body }: CallOptions = {},
  ): Promise<Response> => {
    const headers = {
      ...(as !== undefined && { authorization: `Basic ${Buffer.from(as).toString('base64')}` }),
      ...(isProducer && { 'x-test-producer': 'yes' }),
    };
    const data = new FormData();
    if (form !== undefined) data.append('userdata', new Blob([form]), 'userdata');
    const sent = form === undefined ? body : data;
    return fetch(`${adapter.url}${path}`, { method, headers, ...(sent !== undefined && { body: sent }) });
  };
  return {
    get adapter() {
      return adapter;
    },
    bridge,
    clock,
    call,
    async put(id, script = '#!/bin/sh\necho hello\n') {
      const isProducer = true;
      const file = await call('PUT', `/myfed/t4t-boinc/input/${id}`, { isProducer, body: script });
      const queued = await call('PUT', '/job-queue/put-job.cgi', { isProducer, form: id });
      if (file.status !== 201 || queued.status !== 200) throw new Error(`${file.status} ${queued.status}`);
    },
    async reopen(next = options) {
      await adapter.stop();
      adapter = await open(next);
    },
    async close() {
      await adapter.stop();
      await Promise.all(noted.map((refused) => refused.settled()));
      await bridge.stop();
      await removeDirectory(directory);
    },
  };
}
