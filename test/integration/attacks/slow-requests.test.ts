import { once } from 'node:events';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createControl } from '../../../adapters/jobs/local/control.ts';
import { openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import { openBridgeControl } from '../../../adapters/storage/bridge/control.ts';
import { createEnrolment } from '../../../broker/enrolment/enrolment.ts';
import { createMemoryCodeStore } from '../../../broker/enrolment/memory-code-store.ts';
import { createControlServer } from '../../../broker/http/control-routes.ts';
import { createEnrolmentServer } from '../../../broker/http/enrolment-routes.ts';
import { listen, listenLocally } from '../../../broker/http/listen.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { createSnapshotDesk } from '../../../protocol/runtime/snapshot-desk.ts';
import { type BrokerStage, createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const requestTimeoutMs = 200;
/** Far below what Node and fastify leave a request by themselves. */
const WITHIN_MS = 10_000;
const log = silentLog;

let directory: string;
let stage: BrokerStage;
let path: string;
const ends: (() => Promise<unknown>)[] = [];

beforeEach(async () => {
  directory = await temporaryDirectory('slow');
  path = join(directory, 'control', 'sock');
  stage = await createBrokerStage({ seed: 7 });
});
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await stage.stop();
  await removeDirectory(directory);
});

function enrolment() {
  return createEnrolment({
    runtime: stage.runtimeOf('broker'),
    installation: STAGE,
    identityKey: stage.identityKey,
    certifier: stage.certifier.publicKey,
    codes: createMemoryCodeStore(),
    publicUrl: () => 'https://broker.example.org',
    busUrls: () => [],
    agent: (id) => stage.ledger.agent(id),
  });
}

/** Each opens one server and answers how it is reached. */
const SERVERS: Readonly<Record<string, () => Promise<NetConnectOpts>>> = {
  async enrolment() {
    const server = createEnrolmentServer({
      enrolment: enrolment(),
      clock: stage.clock,
      log,
      requestTimeoutMs,
    });
    ends.push(() => server.close());
    return { host: '127.0.0.1', port: Number(new URL(await listen(server, '127.0.0.1', 0)).port) };
  },
  async 'control of the broker'() {
    const { broker, ledger, clock } = stage;
    const metrics = { contentType: 'text/plain', text: async () => '' };
    const parts = { broker, enrolment: enrolment(), ledger, queues: [], metrics, clock, log };
    const server = createControlServer({ ...parts, requestTimeoutMs });
    ends.push(() => server.close());
    await listenLocally(server, path);
    return { path };
  },
  async 'control of the local queue'() {
    const queue = await openLocalQueue({ path: join(directory, 'queue.sqlite'), random: nodeRandom, log });
    const control = createControl({ queue, path, log, requestTimeoutMs });
    ends.push(
      () => control.stop(),
      () => queue.close(),
    );
    await control.start();
    return { path };
  },
  async 'control of the bridge'() {
    const snapshots = createSnapshotDesk({ directory, log, files: {} });
    const control = await openBridgeControl({
      path,
      snapshots,
      isConnected: () => true,
      log,
      requestTimeoutMs,
    });
    ends.push(() => control.stop());
    return { path };
  },
};

const HEAD =
  'POST /v1/codes HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 100\r\n';

it.each(
  Object.keys(SERVERS).flatMap((name) => [
    [name, 'head', HEAD],
    [name, 'body', `${HEAD}\r\n{`],
  ]),
)('I9 %s ends a request whose %s does not come', async (name, _part, sent) => {
  const place = await SERVERS[name]?.();
  if (place === undefined) throw new Error(`there is no ${name}`);
  const socket = connect(place);
  await once(socket, 'connect');
  let said = '';
  let isClosed = false;
  socket.on('error', () => undefined); // a reset is an end as well
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  socket.once('close', () => {
    isClosed = true;
  });
  socket.write(sent);
  try {
    await eventuallyTrue('the server to hang up', () => isClosed, WITHIN_MS);
  } finally {
    socket.destroy();
  }
  expect(said === '' || /^HTTP\/1.1 4\d\d/.test(said)).toBe(true);
});
