import { Socket } from 'node:net';
import { client, type Element, type Entity, type StreamManagement, xml } from '@xmpp/client';
import { component } from '@xmpp/component';
import { CoPilotError, type ErrorCode } from '../errors.ts';
import type { Clock } from '../runtime/runtime.ts';
import { MAX_STANZA_BYTES } from './xmpp-bounds.ts';
import { AGENT_RESOURCE } from './xmpp-names.ts';
import type { XmppPlace } from './xmpp-place.ts';

/** One stream to an XMPP server, open until it is closed, cut or lost. */
export interface XmppConnection {
  /** It took up where an earlier one was lost (XEP-0198): what was on its way then is delivered. */
  readonly isResumed: boolean;
  /** What an agent needs to take this stream up again; undefined where the server does not offer it. */
  readonly resumption: Resumption | undefined;
  /** Bytes that the system has not taken yet, and stanzas that the server has not acknowledged. */
  readonly backlog: { readonly bytes: number; readonly stanzas: number };
  /** Resolves when the system has taken it. */
  send(stanza: Element): Promise<void>;
  pause(): void;
  resume(): void;
  /** Says good-bye, for a second at most. */
  close(): Promise<void>;
  cut(): void;
}

export interface XmppEvents {
  /** Anything came, be it half a stanza. */
  onBytes(): void;
  /** What a stream that is taken up again had missed comes before `openClient` resolves. */
  onStanza(stanza: Element): void;
  /** Called once, after the stream was open, and not for `close`. */
  onLost(reason: CoPilotError): void;
}

export interface Resumption {
  readonly id: string;
  readonly inbound: number;
  readonly outbound: number;
  readonly outbound_q: unknown[];
}

export interface Opening {
  readonly place: XmppPlace;
  readonly clock: Clock;
  readonly events: XmppEvents;
  readonly signal?: AbortSignal;
}

const OPEN_WITHIN_MS = 10_000;
const CLOSE_WITHIN_MS = 1000;
const KEEP_ALIVE_MS = 30_000;
/** The rest is between the stream's two ends. */
const MISSED: ReadonlySet<string> = new Set(['message', 'presence']);
const MANAGEMENT_NAMESPACE = 'urn:xmpp:sm:3';
/** The library asks what has arrived when nothing was sent for a while: never, of a party that always speaks. */
const ASK_AFTER_STANZAS = 100;
const STANZAS: ReadonlySet<string> = new Set([...MISSED, 'iq']);

/**
 * Opens an agent's stream. Rejects with `NOT_AUTHORIZED` where the server refuses the login, with `UNREACHABLE` where there is
 * no server, or one whose certificate does not hold, or that would have the password in the clear.
 */
export function openClient(
  opening: Opening,
  login: { readonly user: string; readonly password: string },
  earlier?: Resumption,
): Promise<XmppConnection> {
  const { place } = opening;
  const entity = client({
    service: place.service,
    domain: place.domain,
    username: login.user,
    resource: AGENT_RESOURCE,
    timeout: OPEN_WITHIN_MS,
    async credentials(authenticate, _mechanisms, _fast, same) {
      if (place.leavesMachine && !same.isSecure())
        throw new CoPilotError('UNREACHABLE', `the bus at ${place.domain} offers no TLS`);
      // The password is a signed token: to hash it 4,096 times for each login protects nothing.
      await authenticate({ username: login.user, password: login.password }, 'PLAIN');
    },
  });
  // Before the library looks at what is offered.
  entity.prependListener('element', (element) => withoutSasl2(element as Element));
  if (earlier !== undefined) Object.assign(entity.streamManagement, earlier);
  return new Stream(entity, opening, entity.streamManagement).open();
}

/** With SASL 2 the server chooses the resource (XEP-0386), and an address of ours has a fixed one. Both ways are offered side by side (XEP-0388). */
function withoutSasl2(features: Element): void {
  if (features.is('features', 'http://etherx.jabber.org/streams'))
    features.remove('authentication', 'urn:xmpp:sasl:2');
}

/**
 * Opens the stream of a component (XEP-0114). Rejects with `NOT_AUTHORIZED` where the secret is wrong, `NOT_FOUND` where the
 * server does not know the name, `CONFLICT` where another one holds it.
 */
export function openComponent(
  opening: Opening,
  login: { readonly name: string; readonly secret: string },
): Promise<XmppConnection> {
  const entity = component({
    service: opening.place.service,
    domain: login.name,
    password: login.secret,
  });
  entity.timeout = OPEN_WITHIN_MS;
  return new Stream(entity, { ...opening, place: { ...opening.place, domain: login.name } }).open();
}

class Stream implements XmppConnection {
  readonly #entity: Entity;
  readonly #opening: Opening;
  readonly #management: StreamManagement | undefined;
  readonly #opened = Promise.withResolvers<XmppConnection>();
  readonly #closed = Promise.withResolvers<undefined>();
  #state: 'opening' | 'open' | 'closing' | 'over' = 'opening';
  #reason: CoPilotError | undefined;
  #unfinishedBytes = 0;
  #underWay = 0;
  #sentUnasked = 0;
  #isGathering = false;
  isResumed = false;

  constructor(entity: Entity, opening: Opening, management?: StreamManagement) {
    this.#entity = entity;
    this.#opening = opening;
    this.#management = management;
    // When and whether to come again is decided outside.
    entity.reconnect.stop();
    this.#guardParser();
    entity.on('connect', () => this.#rawSocket()?.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE_MS));
    entity.on('online', () => this.#ready());
    management?.on('resumed', () => {
      this.isResumed = true;
      this.#ready();
    });
    entity.on('element', (element) => this.#hear(element as Element)); // the library's, and untyped there
    entity.on('error', (error) => this.#fail(error));
    entity.on('disconnect', () => this.#over());
  }

  async open(): Promise<XmppConnection> {
    const { place, clock, signal } = this.#opening;
    const onAbort = (): void => this.#fail(new CoPilotError('BUS_CLOSED', 'the connection is not wanted'));
    signal?.addEventListener('abort', onAbort, { once: true });
    const cancel = clock.schedule(OPEN_WITHIN_MS, () =>
      this.#fail(new CoPilotError('UNREACHABLE', `the bus at ${place.domain} does not answer`)),
    );
    this.#connect().catch((caught: unknown) => this.#fail(caught));
    try {
      return await this.#opened.promise;
    } finally {
      cancel();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  get resumption(): Resumption | undefined {
    const management = this.#management;
    if (management === undefined || management.id === '') return undefined;
    const { id, inbound, outbound, outbound_q } = management;
    return { id, inbound, outbound, outbound_q };
  }

  get backlog() {
    return {
      bytes: this.#rawSocket()?.writableLength ?? 0,
      stanzas: this.#management?.outbound_q.length ?? 0,
    };
  }

  async send(stanza: Element): Promise<void> {
    this.#gather();
    try {
      this.#underWay += 1;
      await this.#entity.send(stanza);
    } catch (cause) {
      throw new CoPilotError('BUS_CLOSED', 'the connection to the bus was lost with this frame on its way', {
        cause,
      });
    } finally {
      this.#underWay -= 1;
    }
    this.#askWhatArrived();
  }

  pause(): void {
    this.#rawSocket()?.pause();
  }

  resume(): void {
    this.#rawSocket()?.resume();
  }

  async close(): Promise<void> {
    if (this.#state !== 'open') {
      this.cut();
      return;
    }
    this.#state = 'closing';
    // A socket that is not read does not see the server's good-bye.
    this.resume();
    const cancel = this.#opening.clock.schedule(CLOSE_WITHIN_MS, () => this.cut());
    void this.#entity.disconnect(); // never rejects; its end shows as that of the socket
    await this.#closed.promise;
    cancel();
  }

  cut(): void {
    if (this.#state === 'open') this.#state = 'closing';
    this.#destroy();
  }

  async #connect(): Promise<void> {
    const { service, domain } = this.#opening.place;
    await this.#entity.connect(service);
    await this.#entity.open({ domain });
  }

  #ready(): void {
    if (this.#state !== 'opening') return;
    this.#state = 'open';
    this.#opened.resolve(this);
  }

  #hear(element: Element): void {
    this.#unfinishedBytes = 0;
    // Before the stream is open, answers are to what the library asked.
    const isOurs = this.#state === 'opening' ? MISSED.has(element.name) : STANZAS.has(element.name);
    if (isOurs && this.#state !== 'over') this.#opening.events.onStanza(element);
  }

  /** The library's parser holds whatever comes, and throws where an element ends that has not begun: from within the socket. */
  #guardParser(): void {
    const entity = this.#entity;
    const parse = entity._onData.bind(entity);
    entity._onData = (data) => {
      this.#unfinishedBytes += data.length;
      if (this.#unfinishedBytes > MAX_STANZA_BYTES + data.length) {
        this.#fail(new CoPilotError('FRAME_TOO_LARGE', 'the server sends a stanza that is too large'));
        return;
      }
      this.#opening.events.onBytes();
      try {
        parse(data);
      } catch (cause) {
        this.#fail(new CoPilotError('UNREACHABLE', 'what the server sends cannot be read', { cause }));
      }
    };
  }

  /**
   * So that what waits for an acknowledgement stays within its bound (XEP-0198 §4). Asked when nothing is under way: the library knows of
   * a stanza only once it is written, and takes an answer that counts one more for the end of the stream.
   */
  #askWhatArrived(): void {
    if (this.resumption === undefined) return;
    this.#sentUnasked += 1;
    if (this.#sentUnasked < ASK_AFTER_STANZAS || this.#underWay > 0) return;
    this.#sentUnasked = 0;
    const question = xml('r', { xmlns: MANAGEMENT_NAMESPACE });
    this.#entity.send(question).catch(() => undefined); // lost with the stream, whose stanzas are known
  }

  /** What is sent in the same turn goes to the system at once. */
  #gather(): void {
    const socket = this.#rawSocket();
    if (this.#isGathering || socket === undefined) return;
    this.#isGathering = true;
    socket.cork();
    setImmediate(() => {
      this.#isGathering = false;
      socket.uncork();
    });
  }

  /** The first reason counts: what follows are its consequences. */
  #fail(error: unknown): void {
    this.#reason ??= reasonOf(this.#opening.place.domain, error);
    this.#destroy();
    // Before a socket is there nothing closes; nor does the library tell when one cannot be made.
    if (this.#state === 'opening') this.#over();
  }

  #over(): void {
    const before = this.#state;
    if (before === 'over') return;
    this.#state = 'over';
    const reason = this.#reason ?? reasonOf(this.#opening.place.domain, 'the connection was closed');
    this.#opened.reject(reason);
    this.#closed.resolve(undefined);
    if (before === 'open') this.#opening.events.onLost(reason);
  }

  #destroy(): void {
    const raw = this.#rawSocket();
    if (raw !== undefined) raw.destroy();
    // The browser's kind of socket has no other way.
    else if (isClosable(this.#entity.socket)) this.#entity.socket.end();
  }

  /** Within the library's own socket where there is TLS. */
  #rawSocket(): Socket | undefined {
    const { socket } = this.#entity;
    if (socket instanceof Socket) return socket;
    return typeof socket === 'object' &&
      socket !== null &&
      'socket' in socket &&
      socket.socket instanceof Socket
      ? socket.socket
      : undefined;
  }
}

function isClosable(socket: unknown): socket is { end(): void } {
  return (
    typeof socket === 'object' &&
    socket !== null &&
    'socket' in socket &&
    socket.socket !== null &&
    'end' in socket
  );
}

/** The server's word for a refusal, in a stream error or at the login (RFC 6120 §4.9.3, §6.5). */
const CODES: Readonly<Record<string, ErrorCode>> = {
  'not-authorized': 'NOT_AUTHORIZED',
  'account-disabled': 'NOT_AUTHORIZED',
  'credentials-expired': 'NOT_AUTHORIZED',
  'malformed-request': 'NOT_AUTHORIZED',
  'host-unknown': 'NOT_FOUND',
  conflict: 'CONFLICT',
};

function reasonOf(domain: string, error: unknown): CoPilotError {
  if (error instanceof CoPilotError) return error;
  const text = error instanceof Error ? error.message : String(error);
  const condition = error instanceof Error && 'condition' in error ? String(error.condition) : '';
  const code = CODES[condition];
  return code === undefined
    ? new CoPilotError('UNREACHABLE', `no bus answers for ${domain}: ${text}`, { cause: error })
    : new CoPilotError(code, `the bus refused ${domain}: ${text}`, { cause: error });
}
