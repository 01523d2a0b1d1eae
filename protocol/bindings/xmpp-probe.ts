import { type Element, xml } from '@xmpp/client';
import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Cancel, Clock } from '../runtime/runtime.ts';
import { BROKER_ADDRESS, MAX_FRAME_BYTES } from './bus.ts';
import type { ProbeResult } from './lock-down.ts';
import { agentAddress } from './parties.ts';
import { MAX_STANZA_BYTES } from './xmpp-bounds.ts';
import { openClient, openComponent, type XmppConnection } from './xmpp-connection.ts';
import { jidOf } from './xmpp-names.ts';
import { agentPlace, componentPlace } from './xmpp-place.ts';
import { evictionStanza } from './xmpp-eviction.ts';
import { frameStanza, pingStanza } from './xmpp-stanza.ts';

export interface XmppLogin {
  readonly user: string;
  readonly password: string;
}

export interface XmppProbeOptions {
  /** Where agents come, and where components do. */
  readonly url: string;
  readonly componentUrl: string;
  readonly clock: Clock;
  /** Two agents that do nothing else: the first one tries, the second one listens. Nothing is done to anybody besides. */
  readonly agents: readonly [XmppLogin, XmppLogin];
}

interface Attempt {
  readonly name: string;
  readonly stanza: (id: string) => Element;
}

const ANSWER_WITHIN_MS = 5000;
const FRAME = new TextEncoder().encode('probe');

/** Tries as an agent what a bus must refuse. Rejects with `UNREACHABLE` or `NOT_AUTHORIZED` where the agents cannot log in. */
export async function probeXmpp(options: XmppProbeOptions): Promise<readonly ProbeResult[]> {
  const {
    url,
    agents: [own, other],
    clock,
  } = options;
  const { domain } = agentPlace(url);
  const results: ProbeResult[] = [];
  const [tries, listens] = [new Probe(url, own, clock), new Probe(url, other, clock)];
  try {
    results.push(await mustPass(tries, domain));
    for (const attempt of forbidden(jid(own, domain), jid(other, domain), domain))
      results.push(await mustFail(attempt, tries, listens));
  } finally {
    await tries.close();
    await listens.close();
  }
  for (const { name, login } of logins(own, other)) results.push(await mustNotOpen(options, name, login));
  return [...results, ...(await componentResults(options.componentUrl, clock, 'probe'))];
}

/** Tries as an adapter what its own secret must not open. */
export async function probeXmppAsService(
  componentUrl: string,
  secret: string,
  clock: Clock,
): Promise<readonly ProbeResult[]> {
  return componentResults(componentUrl, clock, secret);
}

function jid({ user }: XmppLogin, domain: string): string {
  return jidOf(agentAddress(user), domain) ?? user;
}

/** Without this the refusals would say nothing. */
async function mustPass(probe: Probe, domain: string): Promise<ProbeResult> {
  const attempt = 'write to the broker';
  const answer = await probe.attempt('allowed', frameStanza(jidOf(BROKER_ADDRESS, domain) ?? '', FRAME));
  return answer === undefined
    ? { attempt, outcome: 'as it should be', detail: 'allowed' }
    : { attempt, outcome: 'broken', detail: textOf(answer) };
}

/** It leaks where the other agent hears of it, or where the server does what it was asked. */
async function mustFail({ name, stanza }: Attempt, tries: Probe, listens: Probe): Promise<ProbeResult> {
  await listens.attempt('before', undefined);
  listens.heard.length = 0;
  const answer = await tries.attempt(name, stanza(name));
  await listens.attempt('after', undefined);
  const isDone = answer?.kind === 'stanza' && answer.stanza.attrs['type'] === 'result';
  return isDone || listens.heard.length > 0
    ? { attempt: name, outcome: 'leak', detail: 'allowed' }
    : { attempt: name, outcome: 'as it should be', detail: textOf(answer) };
}

const query = (namespace: string): Element => xml('query', { xmlns: namespace });
const iq = (type: string, to: string | undefined, child: Element) => (id: string) =>
  xml('iq', { type, id, ...(to !== undefined && { to }) }, child);

function forbidden(own: string, other: string, domain: string): readonly Attempt[] {
  const [bare = ''] = other.split('/');
  const broker = jidOf(BROKER_ADDRESS, domain) ?? '';
  const said = xml('body', {}, 'probe');
  const info = query('http://jabber.org/protocol/disco#info');
  return [
    { name: 'write to another agent', stanza: (id) => withId(frameStanza(other, FRAME), id) },
    { name: 'write to whatever another agent is', stanza: (id) => withId(frameStanza(bare, FRAME), id) },
    {
      name: 'chat with another agent',
      stanza: (id) => xml('message', { to: other, type: 'chat', id }, said),
    },
    {
      name: 'bounce something to another agent',
      stanza: (id) => xml('message', { to: other, type: 'error', id }, said),
    },
    { name: 'show itself to another agent', stanza: (id) => xml('presence', { to: other, id }) },
    {
      name: 'subscribe to another agent',
      stanza: (id) => xml('presence', { to: bare, type: 'subscribe', id }),
    },
    {
      name: 'ask whether another agent is there',
      stanza: (id) => xml('presence', { to: bare, type: 'probe', id }),
    },
    { name: 'ask another agent something', stanza: iq('get', other, query('jabber:iq:version')) },
    {
      name: 'answer what another agent did not ask',
      stanza: iq('result', other, query('jabber:iq:version')),
    },
    { name: 'look another agent up', stanza: iq('get', bare, info) },
    {
      name: 'look around on the server',
      stanza: iq('get', domain, query('http://jabber.org/protocol/disco#items')),
    },
    { name: 'keep a list of others', stanza: iq('get', undefined, query('jabber:iq:roster')) },
    {
      name: 'publish where others may read',
      stanza: iq('set', own.split('/')[0], xml('pubsub', { xmlns: 'http://jabber.org/protocol/pubsub' })),
    },
    {
      name: 'have copies of what is said elsewhere',
      stanza: iq('set', undefined, xml('enable', { xmlns: 'urn:xmpp:carbons:2' })),
    },
    { name: 'keep things on the server', stanza: iq('get', undefined, query('jabber:iq:private')) },
    { name: 'register a user', stanza: iq('set', domain, query('jabber:iq:register')) },
    {
      name: 'close the stream of another agent',
      stanza: (id) => evictionStanza(domain, other.split('@')[0] ?? '', id),
    },
    { name: 'ask a broker something beside the protocol', stanza: iq('get', broker, info) },
    { name: 'reach another domain', stanza: iq('get', 'probe.example.org', query('jabber:iq:version')) },
    {
      name: 'send what is too large',
      stanza: (id) =>
        xml('message', { to: other, id }, xml('body', {}, 'x'.repeat(MAX_STANZA_BYTES + MAX_FRAME_BYTES))),
    },
  ];
}

function withId(stanza: Element, id: string): Element {
  return xml(stanza.name, { ...stanza.attrs, id }, ...stanza.getChildElements());
}

interface NamedLogin {
  readonly name: string;
  readonly login: XmppLogin;
}

function logins(own: XmppLogin, other: XmppLogin): readonly NamedLogin[] {
  return [
    { name: 'log in with the password of another', login: { user: other.user, password: own.password } },
    { name: 'log in without a password', login: { user: own.user, password: '' } },
    { name: 'log in as nobody in particular', login: { user: 'admin', password: own.password } },
  ];
}

async function mustNotOpen(
  { url, clock }: XmppProbeOptions,
  name: string,
  login: XmppLogin,
): Promise<ProbeResult> {
  const opening = { place: agentPlace(url), clock, events: IGNORED };
  return refused(name, () => openClient(opening, login));
}

/** Names whose secrets nobody has guessed. */
async function componentResults(url: string, clock: Clock, secret: string): Promise<readonly ProbeResult[]> {
  const place = componentPlace(url);
  const name = jidOf(BROKER_ADDRESS, place.domain) ?? '';
  const open = (guess: string) => openComponent({ place, clock, events: IGNORED }, { name, secret: guess });
  return [
    await refused('take the place of a broker', () => open(secret)),
    await refused('take the place of a broker without a secret', () => open('')),
  ];
}

async function refused(attempt: string, open: () => Promise<XmppConnection>): Promise<ProbeResult> {
  try {
    const connection = await open();
    await connection.close();
    return { attempt, outcome: 'leak', detail: 'allowed' };
  } catch (caught) {
    const { code, message } = toCoPilotError(caught);
    // A name that is taken shows only that the secret was right.
    return { attempt, outcome: code === 'CONFLICT' ? 'leak' : 'as it should be', detail: message };
  }
}

const IGNORED = { onBytes: () => undefined, onStanza: () => undefined, onLost: () => undefined };

type Answer =
  | { readonly kind: 'stanza'; readonly stanza: Element }
  | { readonly kind: 'lost'; readonly reason: CoPilotError };

function textOf(answer: Answer | undefined): string {
  if (answer === undefined) return 'dropped';
  if (answer.kind === 'lost') return answer.reason.message;
  const [condition] = answer.stanza.getChild('error')?.getChildElements() ?? [];
  return condition?.name ?? 'refused';
}

/** One agent's stream, opened when it is needed and again where the server ended it. */
class Probe {
  readonly heard: Element[] = [];
  readonly #url: string;
  readonly #login: XmppLogin;
  readonly #clock: Clock;
  #connection: XmppConnection | undefined;
  #waiting: { readonly id: string; readonly settle: (answer: Answer) => void } | undefined;
  #count = 0;

  constructor(url: string, login: XmppLogin, clock: Clock) {
    this.#url = url;
    this.#login = login;
    this.#clock = clock;
  }

  /**
   * Says something and asks the server whether it is there, which it answers afterwards: what came before that, of the same
   * name, is the answer to what was said.
   */
  async attempt(id: string, stanza: Element | undefined): Promise<Answer | undefined> {
    const connection = await this.#open();
    const pong = this.#await(`pong-${++this.#count}`);
    const before = this.heard.length;
    if (stanza !== undefined) await connection.send(stanza).catch(() => undefined); // shows as lost
    await connection
      .send(pingStanza(agentPlace(this.#url).domain, `pong-${this.#count}`))
      .catch(() => undefined);
    const ended = await pong;
    if (ended.kind === 'lost') return ended;
    const answer = this.heard
      .slice(before)
      .find(({ attrs }) => attrs['id'] === id || attrs['type'] === 'error');
    return answer === undefined ? undefined : { kind: 'stanza', stanza: answer };
  }

  async close(): Promise<void> {
    await this.#connection?.close();
  }

  async #open(): Promise<XmppConnection> {
    this.#connection ??= await openClient(
      {
        place: agentPlace(this.#url),
        clock: this.#clock,
        events: {
          onBytes: () => undefined,
          onStanza: (stanza) => this.#hear(stanza),
          onLost: (reason) => {
            this.#connection = undefined;
            this.#waiting?.settle({ kind: 'lost', reason });
          },
        },
      },
      this.#login,
    );
    return this.#connection;
  }

  #hear(stanza: Element): void {
    if (stanza.attrs['id'] === this.#waiting?.id) this.#waiting?.settle({ kind: 'stanza', stanza });
    else this.heard.push(stanza);
  }

  async #await(id: string): Promise<Answer> {
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#waiting = { id, settle: resolve };
    const cancel: Cancel = this.#clock.schedule(ANSWER_WITHIN_MS, () =>
      resolve({ kind: 'lost', reason: new CoPilotError('TIMEOUT', 'the server does not answer') }),
    );
    const answer = await promise;
    cancel();
    this.#waiting = undefined;
    return answer;
  }
}
