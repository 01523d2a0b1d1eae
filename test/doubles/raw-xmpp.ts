import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Element } from '@xmpp/client';
import { openClient, openComponent, type XmppConnection } from '../../protocol/bindings/xmpp-connection.ts';
import { agentPlace, componentPlace } from '../../protocol/bindings/xmpp-place.ts';
import { pingStanza } from '../../protocol/bindings/xmpp-stanza.ts';
import { nodeClock } from '../../protocol/runtime/node-runtime.ts';
import type { AgentLogin } from './bus-desk.ts';
import { eventuallyTrue } from './eventually.ts';

/** A stream as an attacker has one, without our client's manners. */
export interface RawXmpp {
  readonly heard: readonly Element[];
  readonly isLost: boolean;
  /** Resolves when the server has handled it, or has ended the stream over it. */
  say(...stanzas: readonly Element[]): Promise<void>;
  close(): Promise<void>;
  /** As a lost network does. */
  cut(): void;
}

const WITHIN_MS = 10_000;

export function rawAgent(url: string, login: AgentLogin): Promise<RawXmpp> {
  const place = agentPlace(url);
  return rawStream(place.domain, (events) => openClient({ place, clock: nodeClock, events }, login));
}

/** By the name that the server knows it by. */
export function rawComponent(url: string, name: string, secret: string): Promise<RawXmpp> {
  const place = componentPlace(url);
  return rawStream(place.domain, (events) =>
    openComponent({ place, clock: nodeClock, events }, { name, secret }),
  );
}

async function rawStream(
  domain: string,
  open: (events: Parameters<typeof openClient>[0]['events']) => Promise<XmppConnection>,
): Promise<RawXmpp> {
  const heard: Element[] = [];
  const pongs = new Set<string>();
  let isLost = false;
  let count = 0;
  const connection = await open({
    onBytes: () => undefined,
    onStanza(stanza) {
      if (stanza.is('iq') && (stanza.attrs['id'] ?? '').startsWith('raw-')) pongs.add(stanza.attrs['id']!);
      else heard.push(stanza);
    },
    onLost: () => void (isLost = true),
  });
  return {
    heard,
    get isLost() {
      return isLost;
    },
    async say(...stanzas) {
      const id = `raw-${++count}`;
      for (const stanza of [...stanzas, pingStanza(domain, id)])
        void connection.send(stanza).catch(() => undefined);
      await eventuallyTrue('the server to have heard it', () => isLost || pongs.has(id), WITHIN_MS);
    },
    close: () => connection.close(),
    cut: () => connection.cut(),
  };
}

/** A bare socket, for what is no XML. */
export interface BareStream {
  readonly text: () => string;
  readonly isClosed: () => boolean;
  write(text: string): void;
  end(): void;
}

export function bareStream(port: number): BareStream {
  return bare(connect(port, '127.0.0.1'));
}

/** With TLS from the first byte. */
export function bareTlsStream(port: number): BareStream {
  return bare(connectTls({ host: 'localhost', port, servername: 'localhost' }));
}

function bare(socket: Socket): BareStream {
  let text = '';
  let isClosed = false;
  socket.on('error', () => undefined);
  socket.on('data', (data: Buffer) => (text += data.toString()));
  socket.on('close', () => (isClosed = true));
  return {
    text: () => text,
    isClosed: () => isClosed,
    write: (what) => {
      if (!socket.destroyed) socket.write(what);
    },
    end: () => socket.destroy(),
  };
}
