import { chmod, copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { trustAuthorities } from '../../../agent/authority.ts';
import { postJson } from '../../../agent/http-json.ts';
import type { Enrolment } from '../../../broker/enrolment/enrolment.ts';
import { createEnrolmentServer, showPair } from '../../../broker/http/enrolment-routes.ts';
import { LOOK_AGAIN_MS, readTlsFiles, watchTlsFiles } from '../../../broker/http/tls-files.ts';
import { ENROLMENT_PATHS } from '../../../protocol/enrolment.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { AUTHORITY, createIssuer, type Issued } from '../../doubles/certificates.ts';
import { eventually } from '../../doubles/eventually.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const before = getCACertificates('default');
const { signal } = new AbortController();
const challenge = { challenge: 'c'.repeat(32), installation: 'home' };

let folder: string;
let authority: Issued;
let ours: Issued;
let elsewhere: Issued;
let server: FastifyInstance;
let port: number;

beforeAll(async () => {
  folder = await temporaryDirectory('tls');
  const issue = createIssuer(folder);
  authority = issue({ subject: '/CN=authority', extensions: AUTHORITY });
  const of = (name: string) =>
    issue({ subject: '/CN=broker', issuer: authority, extensions: [`subjectAltName=${name}`] });
  ours = of('IP:127.0.0.1');
  elsewhere = of('DNS:elsewhere.example.org');
  const tls = await readTlsFiles({ certificate: ours.certificateFile, key: ours.keyFile });
  const enrolment = { challenge: () => challenge } as Enrolment;
  server = createEnrolmentServer({ enrolment, clock: nodeClock, log: silentLog, tls });
  port = Number(new URL(await server.listen({ host: '127.0.0.1', port: 0 })).port);
});

afterAll(async () => {
  setDefaultCACertificates(before);
  await server.close();
  await removeDirectory(folder);
});

const ask = () => postJson(`https://127.0.0.1:${port}${ENROLMENT_PATHS.challenge}`, {}, signal);

it('an agent sends nothing to a server whose authority it does not know, and enrols with --ca', async () => {
  await expect(ask()).rejects.toMatchObject({ code: 'UNREACHABLE', message: /certificate/ });
  expect(() => trustAuthorities(join(folder, 'nowhere'))).toThrow(/--ca/);
  await writeFile(join(folder, 'none.pem'), 'no certificate\n');
  expect(() => trustAuthorities(join(folder, 'none.pem'))).toThrow(/--ca/);
  trustAuthorities(authority.certificateFile);
  expect(await ask()).toEqual({ status: 200, body: challenge });
});

it('a certificate for another name is refused, and plain HTTP answers nothing', async () => {
  trustAuthorities(authority.certificateFile);
  const wrong = { cert: elsewhere.pem, key: elsewhere.key };
  showPair(server, wrong);
  server.server.closeAllConnections();
  await expect(ask()).rejects.toMatchObject({ code: 'UNREACHABLE', message: /altnames|127\.0\.0\.1/ });
  showPair(server, { cert: ours.pem, key: ours.key });
  expect(await ask()).toMatchObject({ status: 200 });
  const plain = postJson(`http://127.0.0.1:${port}${ENROLMENT_PATHS.challenge}`, {}, signal);
  await expect(plain).rejects.toMatchObject({ code: 'UNREACHABLE' });
});

it('renewed files are taken; a key that others may read, or that is of another certificate, is not', async () => {
  const files = { certificate: join(folder, 'live.pem'), key: join(folder, 'live.key') };
  const put = async ({ certificateFile, keyFile }: Issued, keyOf = keyFile): Promise<void> => {
    await copyFile(certificateFile, files.certificate);
    await copyFile(keyOf, files.key);
  };
  await put(ours);
  const first = await readTlsFiles(files);
  const clock = createManualClock();
  const taken: string[] = [];
  const logged: string[] = [];
  const log = { ...silentLog, error: (_fields: object, message: string) => void logged.push(message) };
  const watch = watchTlsFiles(files, first, { clock, log }, ({ cert }) => void taken.push(cert));
  await put(elsewhere, ours.keyFile);
  clock.advance(LOOK_AGAIN_MS);
  await eventually('the wrong pair to be told', () => logged[0], 10_000);
  await put(elsewhere);
  await eventually(
    'the new pair to be taken',
    () => {
      clock.advance(LOOK_AGAIN_MS);
      return taken[0];
    },
    10_000,
  );
  watch.stop();
  expect(taken).toEqual([elsewhere.pem]);
  await chmod(files.key, 0o640);
  await expect(readTlsFiles(files)).rejects.toMatchObject({
    code: 'INVALID_CONFIGURATION',
    message: /chmod/,
  });
});
