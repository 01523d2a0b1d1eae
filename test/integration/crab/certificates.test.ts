import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCmsAtHomeAdapter } from '../../../adapters/jobs/cms-at-home/cms-at-home-adapter.ts';
import { createCrabRest } from '../../../adapters/jobs/crab/crab-rest.ts';
import { openCeiling } from '../../../adapters/jobs/kit/ceiling.ts';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import { openRefusedJobs } from '../../../adapters/jobs/kit/refused-jobs.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { AUTHORITY, createIssuer, type Issued } from '../../doubles/certificates.ts';
import { startCrabDouble } from '../../doubles/crab/crab-double.ts';
import { deafAccepted } from '../../doubles/deaf-accepted.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const around = { clock: nodeClock, log: silentLog };

describe('certificates of CRAB and CMS@home', () => {
  let folder: string;
  let authority: Issued;
  let server: Issued;
  let known: Issued;
  let stranger: Issued;
  beforeAll(async () => {
    folder = await temporaryDirectory('crab-certificates');
    const issue = createIssuer(folder);
    authority = issue({ subject: '/CN=authority', extensions: AUTHORITY });
    const extensions = ['subjectAltName=DNS:localhost,IP:127.0.0.1'];
    server = issue({ subject: '/CN=localhost', issuer: authority, extensions });
    known = issue({ subject: '/CN=worker', issuer: authority });
    stranger = issue({ subject: '/CN=worker' });
  });
  afterAll(async () => removeDirectory(folder));

  const files = ({ certificateFile, keyFile }: Issued) =>
    openCredentialFiles({ certificateFile, keyFile }, around);

  it('let the worker in by its subject, over TLS that it checks', async () => {
    const crab = await startCrabDouble({
      authentication: { subjects: new Map([['worker', 'tw']]) },
      tls: { cert: server.pem, key: server.key, ca: authority.pem },
    });
    const call = async (who: Issued, caFile: string): Promise<unknown> => {
      const credential = await files(who);
      const http = await createFrameworkHttp({
        url: crab.url,
        credential,
        caFile,
        timeoutMs: 10_000,
        maxAnswerBytes: 10_000,
      });
      try {
        return await createCrabRest(http).get('info', {});
      } finally {
        http.stop();
        credential.stop();
      }
    };
    try {
      expect(await call(known, authority.certificateFile)).toMatchObject([{ crabserver: 'Welcome' }]);
      await expect(call(stranger, authority.certificateFile)).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await expect(call(known, stranger.certificateFile)).rejects.toMatchObject({ code: 'UNREACHABLE' });
    } finally {
      await crab.stop();
    }
  });

  it('let a producer put jobs into the queue of CMS@home, and nobody else', async () => {
    const credential = await files(server);
    const ceiling = await openCeiling(undefined, around);
    const url = 'https://data-bridge.invalid';
    const openHttp = () => createFrameworkHttp({ url, credential, timeoutMs: 1000, maxAnswerBytes: 1000 });
    const settings = {
      kind: 'cms-at-home',
      url,
      queues: { cms: 'jobs' },
      credential: { caFile: authority.certificateFile },
      attempts: 1,
      options: { producers: ['worker'] },
    };
    const bridge = { url: 'http://127.0.0.1:1', token: 'x' };
    const refused = await openRefusedJobs(join(folder, 'refused.jsonl'), around);
    const http = await openHttp();
    const given = {
      ...around,
      random: nodeRandom,
      name: 'cms',
      openHttp,
      http,
      credential,
      ceiling,
      refused,
      accepted: deafAccepted,
      bridge,
    };
    const adapter = await createCmsAtHomeAdapter(
      { ...given, settings },
      { directory: folder, volunteer: async () => false },
    );
    const ca = await readFile(authority.certificateFile);
    const size = (shown?: Issued): Promise<number> =>
      new Promise((resolve, reject) => {
        const pair = shown === undefined ? {} : { cert: shown.pem, key: shown.key };
        const call = request(
          `${adapter.url}/job-queue/query-job.cgi`,
          { ca, ...pair, agent: false },
          (answer) => {
            answer.resume();
            resolve(answer.statusCode ?? 0);
          },
        );
        call.once('error', reject);
        call.end();
      });
    try {
      expect(await size(known)).toBe(200);
      expect(await size(stranger)).toBe(403);
      expect(await size(server)).toBe(403);
      expect(await size()).toBe(403);
    } finally {
      await adapter.stop();
      http.stop();
      credential.stop();
    }
  });

  it('are needed where authenticators would travel over a network', async () => {
    const credential = await openCredentialFiles({}, around);
    const ceiling = await openCeiling(undefined, around);
    const url = 'https://data-bridge.invalid';
    const openHttp = () => createFrameworkHttp({ url, credential, timeoutMs: 1000, maxAnswerBytes: 1000 });
    const options = { host: '0.0.0.0' };
    const settings = {
      kind: 'cms-at-home',
      url,
      queues: { cms: 'jobs' },
      credential: {},
      attempts: 1,
      options,
    };
    const bridge = { url: 'http://127.0.0.1:1', token: 'x' };
    const refused = await openRefusedJobs(join(folder, 'refused.jsonl'), around);
    const given = {
      ...around,
      random: nodeRandom,
      name: 'cms',
      openHttp,
      http: await openHttp(),
      credential,
      ceiling,
      accepted: deafAccepted,
    };
    await expect(
      createCmsAtHomeAdapter(
        { ...given, refused, bridge, settings },
        { directory: folder, volunteer: async () => false },
      ),
    ).rejects.toMatchObject({ code: 'INVALID_CONFIGURATION' });
  });
});
