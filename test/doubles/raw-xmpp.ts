import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { eventuallyTrue } from './eventually.ts';

/** A stream to an XMPP server that says whatever it is told to, and keeps what it hears. */
export interface RawStream {
  say(xml: string): void;
  /** Resolves once the server has said it; what was heard before counts no more. */
  hear(expected: RegExp): Promise<string>;
  /** All that was said since the last `hear`. */
  heard(): string;
  isOpen(): boolean;
  close(): void;
}

const WITHIN_MS = 10_000;

function open(port: number): RawStream {
  const socket: Socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  let text = '';
  let isOpen = true;
  socket.setEncoding('utf8').on('data', (chunk: string) => void (text += chunk));
  socket.on('error', () => undefined); // a server that ends the stream is one of the answers
  socket.once('close', () => void (isOpen = false));
  return {
    say: (xml) => void socket.write(xml),
    async hear(expected) {
      await eventuallyTrue(
        `${String(expected)} in ${text}`,
        async () => expected.test(text) || !isOpen,
        WITHIN_MS,
      );
      if (!expected.test(text)) throw new Error(`the stream ended before ${String(expected)}: ${text}`);
      const found = text;
      text = '';
      return found;
    },
    heard: () => text,
    isOpen: () => isOpen,
    close: () => void socket.destroy(),
  };
}

export interface RawLogin {
  readonly user: string;
  readonly password: string;
  /** Whom it wants to be, where that is another. */
  readonly onBehalfOf?: string;
}

/** Logs in; rejects where the server refuses. */
export async function rawClient(port: number, domain: string, login: RawLogin): Promise<RawStream> {
  const stream = open(port);
  const header = `<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='${domain}' version='1.0'>`;
  try {
    stream.say(header);
    await stream.hear(/<\/stream:features>/);
    const plain = Buffer.from(`${login.onBehalfOf ?? ''}\0${login.user}\0${login.password}`).toString(
      'base64',
    );
    stream.say(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${plain}</auth>`);
    const answer = await stream.hear(/<success|<failure[^]*<\/failure>/);
    if (answer.includes('<failure')) throw new Error(answer);
    stream.say(header);
    await stream.hear(/<\/stream:features>/);
    stream.say(
      "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>co-pilot</resource></bind></iq>",
    );
    await stream.hear(/<\/iq>/);
    return stream;
  } catch (caught) {
    stream.close();
    throw caught;
  }
}

/** Comes as a component (XEP-0114); rejects where the server refuses. */
export async function rawComponent(port: number, name: string, password: string): Promise<RawStream> {
  const stream = open(port);
  try {
    stream.say(
      `<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='${name}'>`,
    );
    const [, id = ''] = / id='([^']*)'/.exec(await stream.hear(/<stream:stream[^>]* id='[^']*'[^>]*>/)) ?? [];
    stream.say(`<handshake>${createHash('sha1').update(`${id}${password}`).digest('hex')}</handshake>`);
    await stream.hear(/<handshake/);
    return stream;
  } catch (caught) {
    stream.close();
    throw caught;
  }
}
