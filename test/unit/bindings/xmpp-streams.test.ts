import { type Element, xml } from '@xmpp/client';
import { beforeEach, describe, expect, it } from 'vitest';
import type { XmppConnection, XmppEvents } from '../../../protocol/bindings/xmpp-connection.ts';
import { closedBy, evictionStanza } from '../../../protocol/bindings/xmpp-eviction.ts';
import { XmppPort } from '../../../protocol/bindings/xmpp-port.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const BROKER = 'broker.localhost';

/** One stream of a port, from the server's side. */
interface Stream {
  readonly events: XmppEvents;
  readonly sent: Element[];
  isClosed: boolean;
}

function stage() {
  const clock: ManualClock = createManualClock();
  const streams: Stream[] = [];
  const states: string[] = [];
  let refusal: CoPilotError | undefined;
  let onOpen: () => void = () => undefined;
  const port = new XmppPort(
    { clock, random: createSeededRandom(1), log: silentLog },
    {
      async open(events) {
        if (refusal !== undefined) throw refusal;
        const stream: Stream = { events, sent: [], isClosed: false };
        streams.push(stream);
        onOpen();
        const connection: XmppConnection = {
          isResumed: false,
          resumption: undefined,
          backlog: { bytes: 0, stanzas: 0 },
          send: async (stanza) => void stream.sent.push(stanza),
          pause: () => undefined,
          resume: () => undefined,
          close: async () => void (stream.isClosed = true),
          cut: () => undefined,
        };
        return connection;
      },
      jidOf: () => BROKER,
      addressOf: (jid) => (jid === BROKER ? 'broker' : undefined),
      takes: () => true,
      returnsAudibly: () => false,
      peers: () => [],
      domain: 'localhost',
      waitingBytes: 1_000_000,
    },
  );
  port.onConnection((state) => states.push(state));
  return {
    clock,
    port,
    streams,
    states,
    refuse: (error: CoPilotError | undefined) => void (refusal = error),
    whenOpened: (act: () => void) => void (onOpen = act),
  };
}

const LOST = new CoPilotError('CONFLICT', 'replaced by a new connection');
const answer = (attrs: Record<string, string>, ...children: Element[]) =>
  xml('iq', { from: 'localhost', ...attrs }, ...children);
const closed = (count: string) => xml('evict', { xmlns: 'urn:co-pilot:evict:1', closed: count });

describe('a stream that is renewed', () => {
  let at: ReturnType<typeof stage>;
  beforeEach(async () => {
    at = stage();
    await at.port.start();
  });

  it('is followed by another before it is left, also where the server ends it first, and nobody hears of a loss', async () => {
    const { port, streams, states, clock } = at;
    at.whenOpened(() => streams[0]!.events.onLost(LOST));
    await port.renewStream();
    await port.send('broker', new Uint8Array(3));
    await clock.run(5_000);
    expect(streams).toHaveLength(2);
    expect(streams[0]).toMatchObject({ sent: [], isClosed: true });
    expect(streams[1]?.sent).toHaveLength(1);
    expect(states).toEqual(['up']);
    await port.stop();
    expect(streams[1]?.isClosed).toBe(true);
  });

  it('stays where no other can be had', async () => {
    const { port, streams, states, clock } = at;
    at.refuse(new CoPilotError('UNREACHABLE', 'no bus answers'));
    await port.renewStream();
    await port.send('broker', new Uint8Array(3));
    expect(streams[0]).toMatchObject({ isClosed: false });
    expect(streams[0]?.sent).toHaveLength(1);
    expect(states).toEqual(['up']);
    // Lost later, it is opened again as ever.
    at.refuse(undefined);
    streams[0]!.events.onLost(LOST);
    await clock.run(10_000);
    expect(states).toEqual(['up', 'down', 'up']);
    await port.stop();
  });

  it('is lost as ever where it ends meanwhile and no other can be had', async () => {
    const { port, streams, states, clock } = at;
    at.refuse(new CoPilotError('UNREACHABLE', 'no bus answers'));
    const renewed = port.renewStream();
    streams[0]!.events.onLost(LOST);
    await renewed;
    expect(states).toEqual(['up', 'down']);
    at.refuse(undefined);
    await clock.run(10_000);
    expect(states).toEqual(['up', 'down', 'up']);
    await port.stop();
  });

  it('is not begun again while it is lost, nor after the end', async () => {
    const { port, streams, clock } = at;
    at.refuse(new CoPilotError('UNREACHABLE', 'no bus answers'));
    streams[0]!.events.onLost(LOST);
    await port.renewStream();
    expect(streams).toHaveLength(1);
    await port.stop();
    at.refuse(undefined);
    await port.renewStream();
    await clock.run(10_000);
    expect(streams).toHaveLength(1);
  });
});

describe('what a port asks the server', () => {
  const question = (id: string) => evictionStanza('localhost', 'somebody', id);

  it('is answered by the server alone, each question by its own answer', async () => {
    const { port, streams } = stage();
    await port.start();
    const { events, sent } = streams[0]!;
    const [first, second] = [port.ask(question), port.ask(question)];
    const [one = '', two = ''] = sent.map(({ attrs }) => attrs['id']);
    events.onStanza(answer({ type: 'result', id: two, from: BROKER }, closed('9')));
    events.onStanza(answer({ type: 'set', id: two }, closed('9')));
    events.onStanza(answer({ type: 'result', id: two }, closed('2')));
    events.onStanza(answer({ type: 'result', id: one }, closed('1')));
    events.onStanza(answer({ type: 'result', id: one }, closed('9')));
    expect([closedBy(await first), closedBy(await second)]).toEqual([1, 2]);
    await port.stop();
  });

  it('fails where no stream is there, where the stream is lost, and without an answer in time', async () => {
    const { port, streams, clock } = stage();
    await expect(port.ask(question)).rejects.toMatchObject({ code: 'BUS_CLOSED' });
    await port.start();
    const late = port.ask(question);
    const lateFailed = expect(late).rejects.toMatchObject({ code: 'UNREACHABLE' });
    await clock.run(5_000);
    await lateFailed;
    const cut = port.ask(question);
    const cutFailed = expect(cut).rejects.toMatchObject({ code: 'BUS_CLOSED' });
    streams[0]!.events.onLost(LOST);
    await cutFailed;
    await port.stop();
    expect(clock.pending()).toBe(0);
  });

  it.each([
    ['refuses', answer({ type: 'error' }, xml('error', {}, xml('forbidden', {})))],
    ['says nothing of', answer({ type: 'result' })],
    ['counts no streams in', answer({ type: 'result' }, closed('many'))],
  ])('is not taken for done where the server %s it', (_what, stanza) => {
    expect(() => closedBy(stanza)).toThrow(expect.objectContaining({ code: 'NOT_AUTHORIZED' }));
  });
});
