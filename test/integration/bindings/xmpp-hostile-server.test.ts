import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createXmppAgentBus } from '../../../protocol/bindings/xmpp-agent.ts';
import { openClient, openComponent } from '../../../protocol/bindings/xmpp-connection.ts';
import { agentPlace, componentPlace } from '../../../protocol/bindings/xmpp-place.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { createCountingClock } from '../../doubles/counting-clock.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const WITHIN_MS = 10_000;
const HEADER =
  "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='x'>";
const PLAIN_ONLY =
  "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>";

describe('a server that is not what it should be', () => {
  let server: Server;
  let received: string;
  const sockets = new Set<Socket>();

  async function listen(serve: (socket: Socket) => void): Promise<number> {
    received = '';
    server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('data', (data) => (received += data.toString()));
      serve(socket);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  }

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    sockets.clear();
    server.close();
    await once(server, 'close');
  });

  const events = { onBytes: () => undefined, onStanza: () => undefined, onLost: () => undefined };
  const login = { user: 'a'.repeat(26), password: 'the identity' };

  it.each([
    ['nothing that can be read', '\0\0\0'],
    ['an end without a beginning', '</message>'],
    ['two ends', `${HEADER}</stream:stream></stream:stream>`],
    ['an end of something else', `${HEADER}<stream:features></message>`],
    ['text at once', 'hello'],
    ['a farewell at once', `${HEADER}</stream:stream>`],
    [
      'a refusal',
      `${HEADER}<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`,
    ],
    ['an acknowledgement of what was not sent', `${HEADER}<a xmlns='urn:xmpp:sm:3' h='4294967295'/>`],
  ])('that says %s is refused, and nothing is left of it', async (_what, text) => {
    const port = await listen((socket) => socket.once('data', () => socket.end(text)));
    const clock = createCountingClock(nodeClock);
    for (const opened of [
      openClient({ place: agentPlace(`xmpp://127.0.0.1:${port}`), clock, events }, login),
      openComponent(
        { place: componentPlace(`xmpp://127.0.0.1:${port}`), clock, events },
        { name: 'broker.localhost', secret: 'a secret' },
      ),
    ])
      await expect(opened).rejects.toMatchObject({
        code: expect.stringMatching(/UNREACHABLE|NOT_FOUND|FRAME_TOO_LARGE/),
      });
    expect(clock.pending()).toBe(0);
    expect(received).not.toContain('the identity');
  });

  it('that offers to choose the resource is asked for ours, as those that do not offer it', async () => {
    const offers = PLAIN_ONLY.replace(
      '</stream:features>',
      "<authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'/></inline></authentication></stream:features>",
    );
    const port = await listen((socket) => socket.once('data', () => socket.write(`${HEADER}${offers}`)));
    const given = new AbortController();
    const opened = openClient(
      { place: agentPlace(`xmpp://127.0.0.1:${port}`), clock: nodeClock, events, signal: given.signal },
      login,
    );
    await eventuallyTrue('a login', () => received.includes('PLAIN'), WITHIN_MS);
    given.abort();
    await expect(opened).rejects.toMatchObject({ code: 'BUS_CLOSED' });
    expect(received).toContain('urn:ietf:params:xml:ns:xmpp-sasl');
    expect(received).not.toContain('urn:xmpp:sasl:2');
  });

  it('that never ends what it says is hung up on', async () => {
    const port = await listen((socket) => {
      socket.write(HEADER);
      const more = (): void => {
        while (!socket.destroyed && socket.write(`<x>${'y'.repeat(60_000)}`));
        socket.once('drain', more);
      };
      more();
    });
    await expect(
      openClient({ place: agentPlace(`xmpp://127.0.0.1:${port}`), clock: nodeClock, events }, login),
    ).rejects.toMatchObject({ code: 'FRAME_TOO_LARGE' });
    await eventuallyTrue(
      'the connection to be gone',
      () => [...sockets].every(({ destroyed }) => destroyed),
      WITHIN_MS,
    );
  });

  it('on another machine that offers no TLS is not sent the identity', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.write(HEADER + PLAIN_ONLY)));
    // This machine by a name that is not taken for it.
    await expect(
      openClient({ place: agentPlace(`xmpp://0.0.0.0:${port}`), clock: nodeClock, events }, login),
    ).rejects.toMatchObject({ code: 'UNREACHABLE', message: expect.stringContaining('no TLS') });
    expect(received).not.toContain('<auth');
  });

  it('on this machine is logged in to by the identity itself', async () => {
    const port = await listen((socket) => socket.once('data', () => socket.write(HEADER + PLAIN_ONLY)));
    const opened = openClient(
      { place: agentPlace(`xmpp://127.0.0.1:${port}`), clock: nodeClock, events },
      login,
    );
    opened.catch(() => undefined);
    const plain = Buffer.from(`\0${login.user}\0${login.password}`).toString('base64');
    await eventuallyTrue('the login', () => received.includes(plain), WITHIN_MS);
    for (const socket of sockets) socket.destroy();
    await expect(opened).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });

  it('that is silent is given up, and an agent that is stopped meanwhile leaves nothing', async () => {
    const port = await listen(() => undefined);
    const clock = createCountingClock(nodeClock);
    const bus = createXmppAgentBus({
      url: `xmpp://127.0.0.1:${port}`,
      agent: login.user,
      identity: () => login.password,
      renewIdentity: async () => undefined,
      clock,
      random: nodeRandom,
      log: silentLog,
    });
    const started = bus.start().catch((caught: unknown) => caught);
    await eventuallyTrue('it to connect', () => received.includes('<stream:stream'), WITHIN_MS);
    await bus.stop();
    expect(await started).toMatchObject({ code: 'BUS_CLOSED' });
    expect(clock.pending()).toBe(0);
    await eventuallyTrue(
      'the connection to be gone',
      () => [...sockets].every(({ destroyed }) => destroyed),
      WITHIN_MS,
    );
  });
});

it('components speak in the clear, and hence to this machine alone', () => {
  for (const url of [
    'xmpp://bus.example.org:5347',
    'xmpps://127.0.0.1:5347',
    'ws://127.0.0.1/xmpp-websocket',
  ])
    expect(() => componentPlace(url)).toThrow(expect.objectContaining({ code: 'NOT_AUTHORIZED' }));
});
