import { randomBytes } from 'node:crypto';
import { MAX_FRAME_BYTES } from '../../protocol/bindings/bus.ts';
import { expect } from '../expectation.ts';
import { codeOf, exchange } from '../peer/http.ts';
import { type BrokerCase, core, full, robust } from './broker-case.ts';
import type { Scene } from './scene.ts';

const FLOOD = 500;
const UPGRADE = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
} as const;

/** Over the WebSocket binding, below any session. */
export const BINDING_CASES: readonly BrokerCase[] = [
  core('B-01', 'takes a connection without subprotocol, extension or credentials', 'B-5', async (scene) => {
    const agent = await scene.agent();
    await agent.expectUndisturbed();
  }),
  full('B-02', 'ends a connection with 1003 where a message is text', 'B-6', (scene) =>
    expectClosed(scene, 'not binary', 1003),
  ),
  full('B-03', 'ends a connection with 1009 where a message is a byte over the bound', 'B-2 B-7', (scene) =>
    expectClosed(scene, new Uint8Array(MAX_FRAME_BYTES + 1), 1009),
  ),
  full(
    'B-04',
    'ends no connection for a message of the largest size that is no frame',
    'B-2 H-1',
    async (scene) => {
      const agent = await scene.agent();
      agent.send(new Uint8Array(MAX_FRAME_BYTES));
      await agent.expectUndisturbed();
    },
  ),
  full('B-05', 'ends no connection for an empty message, or for random bytes', 'H-1', async (scene) => {
    const agent = await scene.agent();
    for (const length of [0, 1, 11, 12, 200]) agent.send(new Uint8Array(randomBytes(length)));
    await agent.expectUndisturbed();
  }),
  full('B-06', 'answers 426 to a request that is no upgrade', 'B-13', async (scene) => {
    const answer = await exchange({ method: 'GET', url: await httpUrl(scene) }, scene.signal);
    expect(answer.status === 426, `it was answered ${answer.status}`);
  }),
  full('B-07', 'answers 401 to a service without a secret', 'B-8', (scene) => expectUnauthorized(scene, {})),
  full('B-08', 'answers 401 to a service with a wrong secret', 'B-8', (scene) =>
    expectUnauthorized(scene, { authorization: `Bearer ${randomBytes(24).toString('base64url')}` }),
  ),
  full('B-09', 'answers 401 to a secret that is no Bearer token', 'B-8', (scene) =>
    expectUnauthorized(scene, { authorization: 'Basic c2VydmljZTpzZWNyZXQ=' }),
  ),
  robust('B-10', `answers every one of ${FLOOD} messages that come at once`, 'B-9', async (scene) => {
    const agent = await scene.agent();
    const counters = Array.from({ length: FLOOD }, () => agent.count(0));
    for (const counter of counters) agent.say({ kind: 'renew', slot: 0, counter, leases: [], seen: [] });
    // Two of a slot at once may be answered as one (M-14); the last is answered in any case.
    await agent.answerTo({ slot: 0, counter: counters.at(-1) ?? 0 });
    await agent.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
    expect(agent.line.losses === 0, 'the connection was ended');
  }),
];

async function expectClosed(
  scene: Scene,
  message: string | Uint8Array<ArrayBuffer>,
  code: number,
): Promise<void> {
  const member = await scene.member();
  const socket = new WebSocket(scene.stage.url(member));
  try {
    const closed = await new Promise<number>((resolve, reject) => {
      scene.signal.addEventListener('abort', () => reject(new Error('the connection was not ended')), {
        once: true,
      });
      socket.addEventListener('open', () => socket.send(message));
      socket.addEventListener('close', (event) => resolve(event.code));
    });
    expect(closed === code, `the connection was ended with ${closed}`);
  } finally {
    socket.close();
  }
}

async function expectUnauthorized(scene: Scene, headers: Readonly<Record<string, string>>): Promise<void> {
  const url = `${await httpUrl(scene)}?service=conformance`;
  const answer = await exchange({ method: 'GET', url, headers: { ...UPGRADE, ...headers } }, scene.signal);
  expect(answer.status === 401, `it was answered ${answer.status} ${codeOf(answer)}`);
}

async function httpUrl(scene: Scene): Promise<string> {
  return scene.stage.url(await scene.member()).replace(/^ws/, 'http');
}
