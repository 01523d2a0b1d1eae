import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCredentialFiles } from '../../../adapters/jobs/kit/credential-files.ts';
import { createFrameworkHttp } from '../../../adapters/jobs/kit/framework-http.ts';
import { createV1Client } from '../../../adapters/jobs/panda/client-v1.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { AUTHORITY, createIssuer, type Issued } from '../../doubles/certificates.ts';
import { type PandaDouble, startPanda } from '../../doubles/panda/panda-server.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { chmod } from 'node:fs/promises';

const DN = '/DC=org/CN=cp robot';
const SERVER = ['subjectAltName=IP:127.0.0.1'];

describe('a client certificate', () => {
  let directory: string;
  let panda: PandaDouble;
  let authority: Issued;
  let issue: ReturnType<typeof createIssuer>;

  beforeAll(async () => {
    directory = await temporaryDirectory('panda-certificates');
    issue = createIssuer(directory);
    authority = issue({ subject: '/CN=ca', extensions: AUTHORITY });
    const server = issue({ subject: '/CN=panda', issuer: authority, extensions: SERVER });
    const fqans = { [DN]: ['/atlas/Role=production'], '/DC=org/CN=other': ['/atlas/Role=pilot'] };
    panda = await startPanda({
      tls: { cert: server.pem, key: server.key, ca: authority.pem },
      callers: { fqans },
    });
  });
  afterAll(async () => {
    await panda.close();
    await removeDirectory(directory);
  });

  async function clientOf(subject: string, issuer = authority) {
    const { certificateFile, keyFile } = issue({ subject, issuer });
    await chmod(keyFile, 0o600);
    const credential = await openCredentialFiles(
      { certificateFile, keyFile },
      { clock: nodeClock, log: silentLog },
    );
    const http = await createFrameworkHttp({
      url: panda.url,
      credential,
      caFile: authority.certificateFile,
      timeoutMs: 10_000,
      maxAnswerBytes: 1_000_000,
    });
    const stop = (): void => {
      http.stop();
      credential.stop();
    };
    return { client: createV1Client({ http, origin: undefined, scheduler: 'cp', label: 'unified' }), stop };
  }

  it('is known by its name, with the roles that its experiment gives it', async () => {
    const { client, stop } = await clientOf(DN);
    expect(await client.identity()).toEqual({ kind: 'known', name: DN, isProduction: true });
    panda.submit({});
    expect(await client.acquire('CP_TEST', 1)).toHaveLength(1);
    stop();
    const other = await clientOf('/DC=org/CN=other');
    expect(await other.client.identity()).toMatchObject({ isProduction: false });
    await expect(other.client.acquire('CP_TEST', 1)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    other.stop();
  });

  it("of another authority is nobody's", async () => {
    const strange = issue({ subject: '/CN=strange', extensions: AUTHORITY });
    const { client, stop } = await clientOf(DN, strange);
    await expect(client.identity()).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    stop();
  });
});
