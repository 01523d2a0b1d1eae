import { type Element, xml } from '@xmpp/client';
import { MAX_FRAME_BYTES } from './bus.ts';
import { MAX_FRAME_TEXT } from './xmpp-bounds.ts';

/** The child of a message that carries a frame. Servers read `body` as a person's text, and drop what they do not know of it. */
const FRAME = 'frame';
const FRAME_NAMESPACE = 'urn:co-pilot:frame:1';
const PING_NAMESPACE = 'urn:xmpp:ping';

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** What a stanza says to us. */
export type Heard =
  | { readonly kind: 'frame'; readonly frame: Uint8Array }
  /** A stanza of ours came back: `reason` is the server's word for why. */
  | { readonly kind: 'bounce'; readonly reason: string }
  | { readonly kind: 'came' }
  | { readonly kind: 'went' }
  | { readonly kind: 'nothing' };

/** Reads what anybody may have written: frames are measured before they are decoded. */
export function readStanza(stanza: Element): Heard {
  if (stanza.attrs['type'] === 'error') return readBounce(stanza);
  if (stanza.is('message')) return readMessage(stanza);
  if (!stanza.is('presence')) return { kind: 'nothing' };
  if (stanza.attrs['type'] === 'unavailable') return { kind: 'went' };
  return { kind: stanza.attrs['type'] === undefined ? 'came' : 'nothing' };
}

function readMessage(stanza: Element): Heard {
  const text = stanza.getChild(FRAME, FRAME_NAMESPACE)?.text() ?? '';
  if (text.length > MAX_FRAME_TEXT || !BASE64.test(text)) return { kind: 'nothing' };
  const decoded = Buffer.from(text, 'base64');
  if (decoded.length > MAX_FRAME_BYTES) return { kind: 'nothing' };
  return { kind: 'frame', frame: new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.length) };
}

function readBounce(stanza: Element): Heard {
  const [condition] = stanza.getChild('error')?.getChildElements() ?? [];
  return stanza.is('message') || stanza.is('presence')
    ? { kind: 'bounce', reason: condition?.name ?? '' }
    : { kind: 'nothing' };
}

/** Whether a bounce means that nobody is there, rather than that this stanza was not wanted. */
export function meansNobody(reason: string): boolean {
  return NOBODY.has(reason);
}

const NOBODY: ReadonlySet<string> = new Set([
  'service-unavailable',
  'recipient-unavailable',
  'remote-server-not-found',
  'remote-server-timeout',
  'item-not-found',
  // ejabberd's word where no component has the name: it would ask another server, and may not.
  'forbidden',
]);

export function frameStanza(to: string, frame: Uint8Array): Element {
  const text = Buffer.from(frame.buffer, frame.byteOffset, frame.length).toString('base64');
  return xml('message', { to }, xml(FRAME, { xmlns: FRAME_NAMESPACE }, text));
}

/** Tells one component that we are there, so that the server tells it when we are not (RFC 6121 §4.6). */
export function presenceStanza(to: string): Element {
  return xml('presence', { to });
}

/** XEP-0199. */
export function pingStanza(to: string, id: string): Element {
  return xml('iq', { type: 'get', to, id }, xml('ping', { xmlns: PING_NAMESPACE }));
}
