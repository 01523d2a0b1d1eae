import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { promisify } from 'node:util';
import { type Element, xml } from '@xmpp/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { createProgramBus } from '../../../broker/bus/create-program-bus.ts';
import type { BrokerProgramConfiguration } from '../../../broker/program-configuration.ts';
import { type Address, BROKER_ADDRESS, MAX_FRAME_BYTES } from '../../../protocol/bindings/bus.ts';
import { refuseLeaks } from '../../../protocol/bindings/lock-down.ts';
import { agentAddress } from '../../../protocol/bindings/parties.ts';
import { createXmppAgentBus } from '../../../protocol/bindings/xmpp-agent.ts';
import type { XmppBrokerBus } from '../../../protocol/bindings/xmpp-broker.ts';
import { openComponent } from '../../../protocol/bindings/xmpp-connection.ts';
import { evictionStanza } from '../../../protocol/bindings/xmpp-eviction.ts';
import { jidOf } from '../../../protocol/bindings/xmpp-names.ts';
import { componentPlace } from '../../../protocol/bindings/xmpp-place.ts';
import { probeXmpp, probeXmppAsService } from '../../../protocol/bindings/xmpp-probe.ts';
import { frameStanza, presenceStanza } from '../../../protocol/bindings/xmpp-stanza.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { AgentLogin } from '../../doubles/bus-desk.ts';
import { makeCertificate } from '../../doubles/certificate.ts';
import { openConnectProxy, splice } from '../../doubles/connect-proxy.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import { BROKER_SECRET, type LockedXmpp, SERVICE_SECRETS } from '../../doubles/locked-xmpp.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { copiedKey } from './copied-key.ts';
import {
  type BareStream,
  bareStream,
  bareTlsStream,
  type RawXmpp,
  rawAgent,
  rawComponent,
} from '../../doubles/raw-xmpp.ts';

export interface XmppAttackOptions {
  readonly name: string;
  open(): Promise<LockedXmpp>;
  /** What the server does with a sender's name that is not its own. */
  readonly forgedSender: 'replaced' | 'ends the stream';
  readonly comments: 'end the stream' | 'are nothing';
  /** Whether a name is one component's at a time, or all that ask for it have it. */
  readonly names: 'held by one' | 'shared out';
}

const WITHIN_MS = 10_000;
const WSS_PROGRAM = join(import.meta.dirname, '../../doubles/wss-process.ts');
const DEADLINE = { timeout: WITHIN_MS, interval: 10 };
const DOMAIN = 'localhost';
const bytes = (what: string) => new TextEncoder().encode(what);
const code = (expected: string) => expect.objectContaining({ code: expected });
const jid = (address: Address) => jidOf(address, DOMAIN)!;
const HEADER = `<?xml version='1.0'?><stream:stream to='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
const query = (namespace: string) => xml('query', { xmlns: namespace });

/** The machine's clock, whose wall time can be moved on; what was to happen in ten seconds then happens at once. */
function hurriedClock(): { readonly clock: Clock; readonly goOn: (ms: number) => void } {
  const soon = new Set<() => void>();
  let aheadMs = 0;
  return {
    clock: {
      ...nodeClock,
      wallMs: () => nodeClock.wallMs() + aheadMs,
      schedule(delayMs, action) {
        const act = (): void => {
          if (soon.delete(act)) action();
        };
        soon.add(act);
        const cancel = nodeClock.schedule(delayMs, act);
        return () => {
          soon.delete(act);
          cancel();
        };
      },
    },
    goOn(ms) {
      aheadMs += ms;
      for (const act of [...soon]) act();
    },
  };
}

/** What an agent, or whoever stole an adapter's secret, tries on an XMPP server that is locked down. */
export function xmppAttacks(options: XmppAttackOptions): void {
  describe(`${options.name}: an agent`, () => {
    let server: LockedXmpp;
    let broker: XmppBrokerBus;
    let seen: { readonly from: Address; readonly text: string }[];
    let mallory: AgentLogin;
    let honest: AgentLogin;
    let open: { close(): Promise<void> }[];

    beforeAll(async () => {
      server = await options.open();
    });
    afterAll(() => server.stop());

    beforeEach(async () => {
      seen = [];
      open = [];
      broker = server.broker();
      listen(broker);
      await broker.start();
      mallory = server.desk.agent();
      honest = server.desk.agent();
    });
    afterEach(async () => {
      for (const stream of open) await stream.close();
      await broker.stop();
    });

    function listen(bus: XmppBrokerBus): void {
      bus.onFrame((from, frame) => void seen.push({ from, text: Buffer.from(frame).toString() }));
    }

    async function raw(login: AgentLogin): Promise<RawXmpp> {
      const stream = await rawAgent(server.url, login);
      open.push(stream);
      return stream;
    }

    async function component(name: string, secret: string): Promise<RawXmpp> {
      const stream = await rawComponent(server.componentUrl, name, secret);
      open.push(stream);
      return stream;
    }

    async function expectServing(): Promise<void> {
      const bus = server.agentBus(honest);
      await bus.start();
      await eventuallyTrue(
        'an honest agent to be served',
        async () => {
          await bus.send(BROKER_ADDRESS, bytes('honest')).catch(() => undefined);
          return seen.some(({ from, text }) => from === agentAddress(honest.user) && text === 'honest');
        },
        WITHIN_MS,
      );
      await bus.stop();
    }

    const probe = () =>
      probeXmpp({
        url: server.url,
        componentUrl: server.componentUrl,
        clock: nodeClock,
        agents: [mallory, honest],
      });

    it('is refused everything that the lock-down check tries, and may do its work', async () => {
      const results = await probe();
      expect(results.length).toBeGreaterThan(20);
      expect(results.filter(({ outcome }) => outcome !== 'as it should be')).toEqual([]);
    });

    it.each<[string, (to: string, bare: string) => Element]>([
      ['a frame', (to) => frameStanza(to, bytes('forged'))],
      ['a frame to whatever it is', (_to, bare) => frameStanza(bare, bytes('forged'))],
      ['a chat', (to) => xml('message', { to, type: 'chat' }, xml('body', {}, 'forged'))],
      [
        'a headline',
        (_to, bare) => xml('message', { to: bare, type: 'headline' }, xml('body', {}, 'forged')),
      ],
      ['an error', (to) => xml('message', { to, type: 'error' }, xml('body', {}, 'forged'))],
      ['presence', (to) => presenceStanza(to)],
      ['absence', (to) => xml('presence', { to, type: 'unavailable' })],
      ['a subscription', (_to, bare) => xml('presence', { to: bare, type: 'subscribe' })],
      ['a probe for its presence', (_to, bare) => xml('presence', { to: bare, type: 'probe' })],
      ['a question', (to) => xml('iq', { to, type: 'get', id: 'x' }, query('jabber:iq:version'))],
      ['an order', (to) => xml('iq', { to, type: 'set', id: 'x' }, query('jabber:iq:roster'))],
      ['an answer', (to) => xml('iq', { to, type: 'result', id: 'x' })],
      [
        'a question about it',
        (_to, bare) => xml('iq', { to: bare, type: 'get', id: 'x' }, query('jabber:iq:last')),
      ],
    ])('cannot send another agent %s', async (_what, stanza) => {
      const victim = await raw(honest);
      const attacker = await raw(mallory);
      const to = jid(agentAddress(honest.user));
      await attacker.say(stanza(to, to.split('/')[0]!));
      await victim.say();
      expect(victim.heard).toEqual([]);
      expect(attacker.heard.filter(({ attrs }) => attrs['type'] !== 'error')).toEqual([]);
    });

    it.each([
      ['another agent', () => jid(agentAddress(honest.user))],
      ['a broker', () => jid(BROKER_ADDRESS)],
      ['an adapter', () => jid('service.storage')],
    ])('cannot speak as %s', async (_what, from) => {
      const attacker = await raw(mallory);
      const frame = frameStanza(jid(broker.address), bytes('forged'));
      await attacker.say(xml('message', { ...frame.attrs, from: from() }, ...frame.getChildElements()));
      if (options.forgedSender === 'ends the stream') {
        expect(attacker.isLost).toBe(true);
        expect(seen).toEqual([]);
        return;
      }
      await eventuallyTrue('the frame to be heard', () => seen.length > 0, WITHIN_MS);
      expect(seen.map((heard) => heard.from)).toEqual([agentAddress(mallory.user)]);
    });

    it.each<[string, Element]>([
      ['a list of others', xml('iq', { type: 'get', id: 'x' }, query('jabber:iq:roster'))],
      [
        'copies of messages',
        xml('iq', { type: 'set', id: 'x' }, xml('enable', { xmlns: 'urn:xmpp:carbons:2' })),
      ],
      [
        'a personal event node',
        xml(
          'iq',
          { type: 'set', id: 'x' },
          xml('pubsub', { xmlns: 'http://jabber.org/protocol/pubsub' }, xml('publish', { node: 'x' })),
        ),
      ],
      ['an archive', xml('iq', { type: 'set', id: 'x' }, xml('query', { xmlns: 'urn:xmpp:mam:2' }))],
      ['a card', xml('iq', { type: 'get', id: 'x' }, xml('vCard', { xmlns: 'vcard-temp' }))],
      [
        'what the server offers',
        xml('iq', { to: DOMAIN, type: 'get', id: 'x' }, query('http://jabber.org/protocol/disco#items')),
      ],
      [
        'a new user',
        xml(
          'iq',
          { to: DOMAIN, type: 'set', id: 'x' },
          xml('query', { xmlns: 'jabber:iq:register' }, xml('username', {}, 'x'), xml('password', {}, 'x')),
        ),
      ],
      [
        'a command of the server',
        xml(
          'iq',
          { to: DOMAIN, type: 'set', id: 'x' },
          xml('command', { xmlns: 'http://jabber.org/protocol/commands', node: 'x' }),
        ),
      ],
      [
        'a block of others',
        xml('iq', { type: 'set', id: 'x' }, xml('block', { xmlns: 'urn:xmpp:blocking' })),
      ],
    ])('does not get from the server: %s', async (_what, stanza) => {
      const attacker = await raw(mallory);
      await attacker.say(stanza);
      expect(attacker.heard.map(({ attrs }) => attrs['type'])).toEqual(['error']);
    });

    it.each([
      ['an adapter', () => jid('service.storage')],
      ['another server', () => 'somebody@example.org'],
      ['a name below the domain', () => `conference.${DOMAIN}`],
    ])('cannot reach %s', async (_what, to) => {
      const adapter = await component(jid('service.storage'), SERVICE_SECRETS.storage);
      const attacker = await raw(mallory);
      await attacker.say(frameStanza(to(), bytes('forged')), presenceStanza(to()));
      await adapter.say();
      expect(adapter.heard).toEqual([]);
      expect(attacker.heard.map(({ attrs }) => attrs['type'])).toEqual(['error', 'error']);
    });

    it('is heard by a broker with frames alone', async () => {
      const stream = await raw(mallory);
      const to = jid(broker.address);
      const frame = frameStanza(to, bytes('x')).getChildElements();
      await stream.say(
        xml('message', { to, type: 'chat' }, xml('body', {}, 'forged')),
        xml('message', { to }, ...frame, xml('body', {}, 'forged'), xml('more', { xmlns: 'x' })),
        xml('message', { to }, xml('frame', { xmlns: 'urn:co-pilot:frame:1' }, 'no base64!')),
        xml('message', { to }, xml('frame', { xmlns: 'urn:co-pilot:frame:1' })),
        xml('iq', { to, type: 'get', id: 'x' }, query('jabber:iq:version')),
        frameStanza(to, bytes('after')),
      );
      await eventuallyTrue('the frame after it', () => seen.some(({ text }) => text === 'after'), WITHIN_MS);
      expect(seen.map(({ text }) => text)).toEqual(['after']);
    });

    it('that says itself gone is gone, and nobody else is', async () => {
      const gone: Address[] = [];
      broker.onGone((address) => gone.push(address));
      const stream = await raw(mallory);
      const bus = server.agentBus(honest);
      await bus.start();
      await bus.send(BROKER_ADDRESS, bytes('honest'));
      const to = jid(broker.address);
      await stream.say(
        frameStanza(to, bytes('x')),
        xml(
          'message',
          { to, type: 'error', from: jid(agentAddress(honest.user)) },
          xml('error', {}, xml('service-unavailable', {})),
        ),
      );
      await eventuallyTrue(
        'the honest one to be heard',
        () => seen.some(({ text }) => text === 'honest'),
        WITHIN_MS,
      );
      await broker.send(agentAddress(honest.user), bytes('still there'));
      expect(gone).not.toContain(agentAddress(honest.user));
      await bus.stop();
    });

    it('whose stanza is too large loses its stream, and others are served', async () => {
      const stream = await raw(mallory);
      await stream.say(xml('message', { to: jid(broker.address) }, xml('body', {}, 'x'.repeat(300_000))));
      await eventuallyTrue('the stream to be ended', () => stream.isLost, WITHIN_MS);
      expect(seen).toEqual([]);
      await expectServing();
    });

    it('whose frame is too large is not heard', async () => {
      const stream = await raw(mallory);
      const to = jid(broker.address);
      await stream.say(frameStanza(to, new Uint8Array(MAX_FRAME_BYTES + 3)), frameStanza(to, bytes('after')));
      await eventuallyTrue('the frame after it', () => seen.length > 0, WITHIN_MS);
      expect(seen.map(({ text }) => text)).toEqual(['after']);
    });

    it('that sends at full speed is slowed to its rate and does not keep others out', async () => {
      await broker.stop();
      broker = server.broker({ framesPerSecond: 50 });
      listen(broker);
      await broker.start();
      const stream = await raw(mallory);
      const frame = frameStanza(jid(broker.address), new Uint8Array(200));
      let flooding = true;
      const flood = async (): Promise<void> => {
        while (flooding && !stream.isLost)
          await stream.say(...Array.from({ length: 500 }, () => frame)).catch(() => undefined);
      };
      const flooded = flood();
      await expectServing();
      flooding = false;
      const heard = seen.filter(({ from }) => from === agentAddress(mallory.user)).length;
      expect(heard).toBeLessThan(2000);
      await stream.close();
      await flooded;
    });

    it('that never falls silent is heard for as long as it speaks', async () => {
      const bus = server.agentBus(honest);
      open.push({ close: () => bus.stop() });
      await bus.start();
      const [some, times] = [100, 12];
      for (let time = 1; time <= times; time += 1) {
        for (let sent = 0; sent < some; sent += 1) await bus.send(BROKER_ADDRESS, bytes('more'));
        await eventuallyTrue('them to be heard', () => seen.length >= time * some, WITHIN_MS);
      }
      expect(seen).toHaveLength(some * times);
    });

    it.each([
      ['with a password that is none', () => ({ ...mallory, password: 'x' })],
      ['with nothing', () => ({ ...mallory, password: '' })],
      ['as another, with its own identity', () => ({ user: honest.user, password: mallory.password })],
      ['in capitals of another', () => ({ user: honest.user.toUpperCase(), password: mallory.password })],
      [
        'with an identity that has ended',
        () => server.desk.agent({ iat: 1_700_000_000, exp: 1_700_003_600 }),
      ],
      ['with an identity of another installation', () => server.desk.agent({ iss: 'elsewhere' })],
      ['with a password that is too large to be one', () => ({ ...mallory, password: 'x'.repeat(20_000) })],
      ['under the name of a broker', () => ({ user: 'broker', password: BROKER_SECRET })],
    ])('does not log in %s', async (_what, login) => {
      await expect(rawAgent(server.url, login())).rejects.toMatchObject({
        code: expect.stringMatching(/NOT_AUTHORIZED|UNREACHABLE/),
      });
      await expectServing();
    });

    it('does not log in once it is revoked, and hears so', async () => {
      await (await rawAgent(server.url, mallory)).close();
      server.desk.revoke(mallory.user);
      await expect(rawAgent(server.url, mallory)).rejects.toEqual(code('NOT_AUTHORIZED'));
    });

    it.each([
      ['another', () => honest.user],
      ['another, in full', () => `${honest.user}@${DOMAIN}`],
      ['a broker', () => `broker.${DOMAIN}`],
    ])('does not log in to act for %s', async (_what, whom) => {
      const stream = bareTlsStream(Number(new URL(server.directUrl!).port));
      open.push({ close: async () => stream.end() });
      const has = (what: RegExp) => eventuallyTrue(String(what), () => what.test(stream.text()), WITHIN_MS);
      const login = Buffer.from(`${whom()}\0${mallory.user}\0${mallory.password}`).toString('base64');
      stream.write(HEADER);
      await has(/<\/stream:features>/);
      stream.write(`<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${login}</auth>`);
      await has(/<(success|failure)/);
      if (stream.text().includes('<failure')) return;
      // It was not read whom it wants to act for.
      stream.write(
        `${HEADER}<iq type='set' id='x'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>co-pilot</resource></bind></iq>`,
      );
      await has(/<jid>[^<]*<\/jid>/);
      expect(stream.text()).toContain(`<jid>${mallory.user}@${DOMAIN}/`);
    });

    it('comes by an identity of a former key until that key counts no more', async () => {
      server.desk.rollIdentityKey();
      await (await rawAgent(server.url, mallory)).close();
      server.desk.dropFormerKeys();
      await expect(rawAgent(server.url, mallory)).rejects.toEqual(code('NOT_AUTHORIZED'));
      await (await rawAgent(server.url, server.desk.agent())).close();
      honest = server.desk.agent();
      await expectServing();
    });

    describe('and the end of its streams', () => {
      const evict = (agent: string) => evictionStanza(DOMAIN, agent, 'x');

      it('has them closed when a broker says so, and nobody else has', async () => {
        const [attacker, other] = [await raw(mallory), await raw(honest)];
        expect(await broker.evict(mallory.user)).toBe(1);
        await eventuallyTrue('its stream to be ended', () => attacker.isLost, WITHIN_MS);
        expect(await broker.evict(mallory.user)).toBe(0);
        for (const name of ['', '*', `${honest.user}@${DOMAIN}`, honest.user.slice(0, -1)])
          expect(await broker.evict(name)).toBe(0);
        await other.say();
        expect(other.isLost).toBe(false);
      });

      it('does not keep one whose connection is lost, for when it is back', async () => {
        const lost = await raw(mallory);
        await lost.say(frameStanza(jid(broker.address), bytes('x')));
        lost.cut();
        expect(await broker.evict(mallory.user)).toBe(1);
        expect(await broker.evict(mallory.user)).toBe(0);
      });

      it('ends no other agent’s stream itself, nor does an adapter, in a broker’s name neither', async () => {
        const victim = await raw(honest);
        const attacker = await raw(mallory);
        await attacker.say(evict(honest.user));
        expect(attacker.heard.map(({ attrs }) => attrs['type'])).toEqual(['error']);
        for (const from of [undefined, jid(BROKER_ADDRESS), jid(broker.address)]) {
          const thief = await component(jid('service.storage'), SERVICE_SECRETS.storage);
          const stanza = evict(honest.user);
          await thief.say(
            xml(
              'iq',
              { from: jid('service.storage'), ...stanza.attrs, ...(from !== undefined && { from }) },
              ...stanza.getChildElements(),
            ),
          );
          expect(thief.heard.filter(({ attrs }) => attrs['type'] === 'result')).toEqual([]);
          await thief.close();
          const forger = await raw(mallory);
          await forger.say(xml('iq', { ...stanza.attrs, from: from ?? '' }, ...stanza.getChildElements()));
          expect(forger.heard.filter(({ attrs }) => attrs['type'] === 'result')).toEqual([]);
        }
        await victim.say();
        expect(victim.isLost).toBe(false);
        expect(await broker.evict(honest.user)).toBe(1);
      });

      it('comes with its identity, unless it has logged in anew by then: no frame is lost over that', async () => {
        await broker.stop();
        await server.desk.close();
        const { clock, goOn } = hurriedClock();
        const served = await createProgramBus({
          runtime: { clock, crypto: createCrypto(), random: nodeRandom, log: silentLog },
          configuration: {
            installation: 'home',
            instance: 'broker-1',
            host: '127.0.0.1',
            busPort: Number(new URL(server.desk.url).port),
            framesPerSecond: 1000,
            services: [],
            buses: [
              {
                kind: options.name.toLowerCase(),
                url: server.url,
                componentUrl: server.componentUrl,
                password: BROKER_SECRET,
              },
            ],
          } as unknown as BrokerProgramConfiguration,
          keys: {
            identity: () => server.desk.identityKeys[0]!,
            identities: () => server.desk.identityKeys.map(({ publicKey }) => publicKey),
          },
          agent: async () => undefined,
        });
        const heard: string[] = [];
        served.bus.onFrame((from, frame) => {
          heard.push(
            `${from === agentAddress(honest.user) ? 'honest' : 'mallory'}: ${Buffer.from(frame).toString()}`,
          );
        });
        try {
          await served.bus.start();
          const exp = Math.floor(nodeClock.wallMs() / 1000) + 30;
          const ending = server.desk.agent({ exp });
          const stays = await raw(ending);
          let identity = server.desk.agent({ exp, sub: honest.user });
          const states: string[] = [];
          const bus = createXmppAgentBus({
            url: server.url,
            agent: honest.user,
            identity: () => identity.password,
            renewIdentity: async () => undefined,
            clock: nodeClock,
            random: nodeRandom,
            log: silentLog,
          });
          bus.onConnection((state) => states.push(state));
          await bus.start();
          identity = honest;
          await bus.identityRenewed();
          await bus.send(BROKER_ADDRESS, bytes('renewed'));
          goOn(120_000);
          await eventuallyTrue('the one that did not renew to be ended', () => stays.isLost, WITHIN_MS);
          await bus.send(BROKER_ADDRESS, bytes('still there'));
          await vi.waitFor(() => expect(heard).toEqual(['honest: renewed', 'honest: still there']), DEADLINE);
          expect(states).toEqual(['up']);
          await bus.stop();
        } finally {
          await served.bus.stop();
          await server.desk.open();
        }
      });
    });

    copiedKey({
      bus: () => ({
        broker,
        identityKey: server.desk.identityKeys[0]!.publicKey,
        agent: (keys) => server.desk.agent(keys),
        admit: async () => undefined,
        agentBus: (login) => server.agentBus(login),
        evict: (agent) => broker.evict(agent),
        judgeBy: (statusOf) => server.desk.judgeBy(statusOf),
      }),
    });

    it('that logs in twice has one place, which the later one takes', async () => {
      const first = await raw(mallory);
      const second = await raw(mallory);
      await eventuallyTrue('the first to be ended', () => first.isLost, WITHIN_MS);
      await second.say(frameStanza(jid(broker.address), bytes('second')));
      await eventuallyTrue('the second to be heard', () => seen.length > 0, WITHIN_MS);
      expect(seen).toEqual([{ from: agentAddress(mallory.user), text: 'second' }]);
    });

    describe('by bare bytes', () => {
      let stream: BareStream;
      beforeEach(() => {
        stream = bareStream(Number(new URL(server.url).port));
      });
      afterEach(() => stream.end());
      it.each<readonly [string, string]>([
        ['no XML', 'GET / HTTP/1.1\r\n\r\n'],
        [
          'an entity that grows',
          `<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>${HEADER.slice(21)}<message>&b;</message>`,
        ],
        [
          'a file of the server',
          `<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>${HEADER.slice(21)}<message>&a;</message>`,
        ],
        ['an end without a beginning', `${HEADER}</message>`],
        ...(options.comments === 'end the stream'
          ? [['a comment', `${HEADER}<!-- a comment -->`] as const]
          : []),
        ['an order before the login', `${HEADER}<message to='broker.${DOMAIN}'/></stream:stream>`],
        ['an element that never ends', `${HEADER}<message>${'<x>'.repeat(100_000)}`],
      ])('that sends %s loses its stream, and others are served', async (_what, text) => {
        stream.write(text);
        await eventuallyTrue('the stream to be ended', () => stream.isClosed(), WITHIN_MS);
        expect(stream.text()).not.toContain('root:');
        expect(seen).toEqual([]);
        await expectServing();
      });

      it('is asked for TLS before anything else', async () => {
        stream.write(HEADER);
        await eventuallyTrue('an offer', () => stream.text().includes('</stream:features>'), WITHIN_MS);
        expect(stream.text()).toContain('<required/>');
        expect(stream.text()).not.toContain('mechanism');
        stream.write(
          `<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>${Buffer.from(`\0${mallory.user}\0${mallory.password}`).toString('base64')}</auth>`,
        );
        await eventuallyTrue(
          'a refusal',
          () => stream.isClosed() || /<(failure|stream:error)/.test(stream.text()),
          WITHIN_MS,
        );
        expect(stream.text()).not.toContain('<success');
      });
    });

    it('stays while nobody can say who it is, and nobody new gets in', async () => {
      const bus = server.agentBus(mallory);
      await bus.start();
      await server.desk.close();
      try {
        await bus.send(BROKER_ADDRESS, bytes('still here'));
        await eventuallyTrue(
          'it to be heard',
          () => seen.some(({ text }) => text === 'still here'),
          WITHIN_MS,
        );
        await expect(rawAgent(server.url, honest)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
      } finally {
        await server.desk.open();
      }
      await expectServing();
      await bus.stop();
    });

    it('and a broker find one another again after a power cut, and what was asked is answered', async () => {
      broker.onFrame((from, frame) => broker.send(from, frame));
      const bus = server.agentBus(honest);
      const answers = new Set<string>();
      bus.onFrame((_from, frame) => void answers.add(Buffer.from(frame).toString()));
      await bus.start();
      const ask = (at: number) =>
        eventually(
          `an answer to ${at}`,
          async () => {
            await bus.send(BROKER_ADDRESS, bytes(String(at))).catch(() => undefined);
            return answers.has(String(at)) ? true : undefined;
          },
          30_000,
        );
      const asked = Promise.all(Array.from({ length: 40 }, (_, at) => ask(at)));
      await server.kill();
      await server.start();
      await asked;
      expect(answers.size).toBe(40);
      await bus.stop();
    });

    describe('an adapter', () => {
      it('and the broker hear one another', async () => {
        const service = server.service('storage');
        const [asked, answered]: [string[], string[]] = [[], []];
        service.onFrame((from, frame) => {
          asked.push(`${from}: ${Buffer.from(frame).toString()}`);
          return service.send(from, bytes('answer'));
        });
        broker.onFrame((from, frame) => void answered.push(`${from}: ${Buffer.from(frame).toString()}`));
        await service.start();
        await broker.send('service.storage', bytes('question'));
        await vi.waitFor(() => expect(answered).toEqual(['service.storage: answer']), DEADLINE);
        expect(asked).toEqual([`${broker.address}: question`]);
        await service.stop();
      });

      it('with a wrong secret is told so at once, and so is one that the server does not know', async () => {
        const wrong = server.service('storage', 'a secret that is wrong');
        await expect(wrong.start()).rejects.toEqual(code('NOT_AUTHORIZED'));
        await wrong.stop();
        const unknown = server.service('unknown');
        await expect(unknown.start()).rejects.toMatchObject({
          code: expect.stringMatching(/NOT_FOUND|NOT_AUTHORIZED/),
        });
        await unknown.stop();
      });

      it('finds with its own secret that it opens nothing else', async () => {
        const results = await probeXmppAsService(server.componentUrl, SERVICE_SECRETS.storage, nodeClock);
        expect(() => refuseLeaks(results)).not.toThrow();
        const known = await probeXmppAsService(server.componentUrl, BROKER_SECRET, nodeClock);
        expect(() => refuseLeaks(known)).toThrow(code('INVALID_CONFIGURATION'));
      });

      it.each<[string, () => Element]>([
        ['write to an agent', () => frameStanza(jid(agentAddress(honest.user)), bytes('forged'))],
        [
          'ask an agent',
          () =>
            xml(
              'iq',
              { to: jid(agentAddress(honest.user)), type: 'get', id: 'x' },
              query('jabber:iq:version'),
            ),
        ],
        ['show itself to an agent', () => presenceStanza(jid(agentAddress(honest.user)))],
        ['write to another adapter', () => frameStanza(jid('service.other'), bytes('forged'))],
      ])('whose secret is stolen cannot %s', async (_what, stanza) => {
        const agent = await raw(honest);
        const other = await component(jid('service.other'), SERVICE_SECRETS.other);
        const thief = await component(jid('service.storage'), SERVICE_SECRETS.storage);
        await thief.say(stanza());
        await agent.say();
        await other.say();
        expect([...agent.heard, ...other.heard]).toEqual([]);
      });

      it.each([
        ['another adapter', () => jid('service.other')],
        ['a broker', () => jid(BROKER_ADDRESS)],
        ['an agent', () => jid(agentAddress(honest.user))],
      ])('whose secret is stolen cannot speak as %s', async (_what, from) => {
        const thief = await component(jid('service.storage'), SERVICE_SECRETS.storage);
        const frame = frameStanza(jid(broker.address), bytes('forged'));
        await thief.say(xml('message', { ...frame.attrs, from: from() }, ...frame.getChildElements()));
        await expectServing();
        expect(seen.map(({ text }) => text)).not.toContain('forged');
      });
    });

    it('is told of a broker that is gone by what it sends there', async () => {
      const other = server.broker({ instance: 'broker-2' });
      await other.start();
      const bus = server.agentBus(mallory);
      const gone: Address[] = [];
      bus.onGone((address) => gone.push(address));
      await bus.start();
      await bus.send(other.address, bytes('x'));
      await other.stop();
      // What was on its way may have come back by now.
      await bus.send(other.address, bytes('x')).catch(() => undefined);
      await vi.waitFor(() => expect(gone).toContain(other.address), DEADLINE);
      await expect(bus.send(other.address, bytes('x'))).rejects.toEqual(code('UNREACHABLE'));
      await bus.stop();
    });

    it('reaches another broker by the shared name soon after its holder died', async () => {
      const other = server.broker({ instance: 'broker-2' });
      const heard: string[] = [];
      other.onFrame((_from, frame) => void heard.push(Buffer.from(frame).toString()));
      await other.start();
      expect([broker.holdsEntrance, other.holdsEntrance]).toEqual([true, options.names === 'shared out']);
      const bus = server.agentBus(honest);
      await bus.start();
      await broker.stop();
      await eventuallyTrue('the other to hold it', () => other.holdsEntrance, WITHIN_MS);
      await bus.send(BROKER_ADDRESS, bytes('hello'));
      await eventuallyTrue('it to be heard', () => heard.includes('hello'), WITHIN_MS);
      await bus.stop();
      await other.stop();
    });

    if (options.names === 'held by one')
      it('is no bus for a broker that must be alone while another answers there', async () => {
        const other = server.broker({ instance: 'broker-2', isAlone: true });
        await expect(other.start()).rejects.toEqual(code('CONFLICT'));
        await expectServing();
      });

    if (options.names === 'held by one')
      it('finds a name of one instance held by one instance', async () => {
        const place = componentPlace(server.componentUrl);
        const events = { onBytes: () => undefined, onStanza: () => undefined, onLost: () => undefined };
        const login = { name: jid(broker.address), secret: BROKER_SECRET };
        await expect(openComponent({ place, clock: nodeClock, events }, login)).rejects.toEqual(
          code('CONFLICT'),
        );
        await expectServing();
      });

    it('comes by a WebSocket behind TLS through the proxy that its environment names, and by no other way then', async () => {
      const directory = await temporaryDirectory('xmpp-proxy');
      const { certificate, key } = makeCertificate(directory);
      const tls = { cert: await readFile(certificate), key: await readFile(key) };
      const target = Number(new URL(server.webSocketUrl!).port);
      const front = createTlsServer(tls, (socket) => splice(socket, connect(target, '127.0.0.1')));
      front.listen(0, '127.0.0.1');
      await once(front, 'listening');
      const { port } = front.address() as AddressInfo;
      const proxy = await openConnectProxy();
      proxy.leadTo(port);
      // Nobody listens there: only the proxy knows the way.
      const url = 'wss://localhost/xmpp-websocket';
      const arguments_ = ['--no-warnings', WSS_PROGRAM, url, mallory.user, mallory.password];
      const word = async (environment: NodeJS.ProcessEnv): Promise<string> => {
        const env = { PATH: process.env['PATH'], NODE_EXTRA_CA_CERTS: certificate, ...environment };
        return (await promisify(execFile)(process.execPath, arguments_, { env })).stdout;
      };
      const through = { NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: proxy.url };
      expect(await word(through)).toBe('up');
      expect(proxy.asked).toMatchObject([{ place: 'localhost:443' }]);
      expect(await word({ ...through, NO_PROXY: 'localhost' })).toBe('UNREACHABLE');
      expect(proxy.asked).toHaveLength(1);
      await proxy.close();
      front.close();
      await removeDirectory(directory);
    });

    it('comes by TLS from the first byte, and by a WebSocket, where the server has them', async () => {
      for (const url of [server.directUrl, server.webSocketUrl]) {
        if (url === undefined) continue;
        const bus = server.agentBus(mallory, { url });
        await bus.start();
        await bus.send(BROKER_ADDRESS, bytes(url));
        await eventuallyTrue('it to be heard', () => seen.some(({ text }) => text === url), WITHIN_MS);
        await bus.stop();
      }
    });
  });
}
