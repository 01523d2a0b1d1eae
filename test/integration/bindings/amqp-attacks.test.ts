import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startBroker } from '../../../broker/main.ts';
import { controlSocket, openInstallation, roleDirectory } from '../../../cli/installation.ts';
import { MAX_CONNECTIONS } from '../../../broker/enrolment/bus-access.ts';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import type { AmqpBrokerBus } from '../../../protocol/bindings/amqp-broker.ts';
import { connectAmqp, type Credential } from '../../../protocol/bindings/amqp-connect.ts';
import { closeConnections } from '../../../protocol/bindings/amqp-eviction.ts';
import { probeAmqp, probeAsService } from '../../../protocol/bindings/amqp-probe.ts';
import { refuseLeaks } from '../../../protocol/bindings/lock-down.ts';
import {
  AGENT_EXCHANGE,
  agentKey,
  MAX_CHANNELS,
  TRUSTED_EXCHANGE,
} from '../../../protocol/bindings/amqp-topology.ts';
import { agentAddress } from '../../../protocol/bindings/parties.ts';
import { type Address, BROKER_ADDRESS, MAX_FRAME_BYTES } from '../../../protocol/bindings/bus.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { openConnectProxy } from '../../doubles/connect-proxy.ts';
import { eventually, eventuallyTrue } from '../../doubles/eventually.ts';
import {
  clearEntrance,
  LACKS_RABBIT,
  type LockedRabbit,
  openLockedRabbit,
  SERVICE_PASSWORD,
} from '../../doubles/locked-rabbitmq.ts';
import { copiedKey } from './copied-key.ts';

const WITHIN_MS = 10_000;
const DEADLINE = { timeout: WITHIN_MS, interval: 10 };
const bytes = (what: string) => new TextEncoder().encode(what);
const code = (expected: string) => expect.objectContaining({ code: expected });

describe.skipIf(LACKS_RABBIT)('on RabbitMQ (left out where it is not installed)', () => {
  let rabbit: LockedRabbit;
  let broker: AmqpBrokerBus;
  let seen: { readonly from: Address; readonly text: string }[];
  let open: ChannelModel[];
  let mallory: Credential;
  let honest: Credential;

  beforeAll(async () => {
    rabbit = await openLockedRabbit({ withTls: true });
  });
  afterAll(() => rabbit.stop());

  beforeEach(async () => {
    seen = [];
    open = [];
    broker = rabbit.broker();
    broker.onFrame((from, frame) => void seen.push({ from, text: Buffer.from(frame).toString() }));
    await broker.start();
    mallory = await admitted();
    honest = await admitted();
  });
  afterEach(async () => {
    for (const model of open) await model.close().catch(() => undefined);
    await broker.stop();
    await clearEntrance(rabbit);
  });

  async function admitted(): Promise<Credential> {
    const agent = rabbit.agent();
    await broker.admit(agent.user);
    return agent;
  }

  /** A connection as an attacker makes it, without our client's manners. */
  async function raw(agent: Credential): Promise<ChannelModel> {
    const model = await connectAmqp(rabbit.url, agent);
    model.on('error', () => undefined);
    open.push(model);
    return model;
  }

  async function channelOf(agent: Credential): Promise<ConfirmChannel> {
    const channel = await (await raw(agent)).createConfirmChannel();
    channel.on('error', () => undefined);
    return channel;
  }

  async function published(channel: ConfirmChannel, exchange: string, key: string): Promise<void> {
    channel.publish(exchange, key, Buffer.from('forged'));
    await channel.waitForConfirms();
  }

  async function expectServing(): Promise<void> {
    const bus = rabbit.agentBus(honest);
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

  it('is refused everything that the lock-down check tries, and may do its work', async () => {
    const results = await probeAmqp({ url: rabbit.url, agents: [mallory, honest] });
    expect(results.length).toBeGreaterThan(20);
    expect(results.filter(({ outcome }) => outcome !== 'as it should be')).toEqual([]);
  });

  it('that is refused something has its reason from the lock, not from chance', async () => {
    const results = await probeAmqp({ url: rabbit.url, agents: [mallory, honest] });
    const reasons = results.map(({ detail }) => detail).filter((detail) => detail !== 'allowed');
    for (const reason of reasons)
      expect(reason).toMatch(/ACCESS|refused the login|PRECONDITION|no bus answers/);
  });

  it.each([
    ['CC to another broker', { CC: ['broker:broker-0.somebody'] }],
    ['CC to nobody', { CC: 'x' }],
    ['BCC to the shared entrance', { BCC: [`${BROKER_ADDRESS}.x`] }],
  ])('with %s is heard at most under its own name', async (_what, options) => {
    const channel = await channelOf(mallory);
    channel.publish(AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, mallory.user), Buffer.from('forged'), options);
    channel.publish(AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, mallory.user), Buffer.from('after'), {});
    await channel.waitForConfirms();
    await eventuallyTrue('the frame after it', () => seen.some(({ text }) => text === 'after'), WITHIN_MS);
    expect(new Set(seen.map(({ from }) => from))).toEqual(new Set([agentAddress(mallory.user)]));
    if ('CC' in options) expect(seen.map(({ text }) => text)).not.toContain('forged');
  });

  it('cannot have a frame for one broker read by another, by BCC', async () => {
    const other = rabbit.broker();
    const heard: string[] = [];
    other.onFrame((_from, frame) => void heard.push(Buffer.from(frame).toString()));
    await other.start();
    const channel = await channelOf(mallory);
    const BCC = [agentKey(other.address, mallory.user)];
    channel.publish(AGENT_EXCHANGE, agentKey(broker.address, mallory.user), Buffer.from('for one'), {
      BCC,
    });
    channel.publish(AGENT_EXCHANGE, agentKey(other.address, mallory.user), Buffer.from('for the other'));
    await channel.waitForConfirms();
    await eventuallyTrue('both to be heard', () => seen.length > 0 && heard.length > 0, WITHIN_MS);
    expect([seen.map(({ text }) => text), heard]).toEqual([['for one'], ['for the other']]);
    await other.stop();
  });

  it('has its answers sent to itself, whatever reply address and correlation it names', async () => {
    const channel = await channelOf(mallory);
    channel.publish(AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, mallory.user), Buffer.from('question'), {
      replyTo: agentAddress(honest.user),
      correlationId: honest.user,
      headers: { from: agentAddress(honest.user) },
    });
    await eventuallyTrue('the question', () => seen.length > 0, WITHIN_MS);
    await broker.send(seen[0]!.from, bytes('answer'));
    const answer = await channel.get(agentAddress(mallory.user), { noAck: true });
    expect(answer === false ? '' : answer.content.toString()).toBe('answer');
    const others = await (await channelOf(honest)).get(agentAddress(honest.user), { noAck: true });
    expect(others).toBe(false);
  });

  it('whose message is larger than a frame is not heard, and the next one is', async () => {
    const channel = await channelOf(mallory);
    const key = agentKey(BROKER_ADDRESS, mallory.user);
    channel.publish(AGENT_EXCHANGE, key, Buffer.alloc(MAX_FRAME_BYTES + 1));
    channel.publish(AGENT_EXCHANGE, key, Buffer.from('next'));
    await channel.waitForConfirms();
    await eventuallyTrue('the next', () => seen.length > 0, WITHIN_MS);
    expect(seen.map(({ text }) => text)).toEqual(['next']);
  });

  it('is not harmed by what a bus operator puts into its queue, and takes what comes after it', async () => {
    const heard: string[] = [];
    const bus = rabbit.agentBus(honest);
    bus.onFrame((from, frame) => void heard.push(`${from}: ${Buffer.from(frame).toString()}`));
    await bus.start();
    await rabbit.asBroker(async (channel) => {
      const queue = agentAddress(honest.user);
      channel.sendToQueue(queue, Buffer.alloc(MAX_FRAME_BYTES + 1));
      channel.sendToQueue(queue, Buffer.from('forged'), { CC: ['agent.nobody'] });
      channel.sendToQueue(queue, Buffer.from('real'), {
        headers: { from: 'somebody' },
        replyTo: 'elsewhere',
      });
      await channel.waitForConfirms();
    });
    await vi.waitFor(() => expect(heard).toEqual([`${BROKER_ADDRESS}: real`]), DEADLINE);
    await bus.stop();
  });

  it('cannot open a thousand channels', async () => {
    const model = await raw(mallory);
    const channels = await Promise.allSettled(Array.from({ length: 1000 }, () => model.createChannel()));
    expect(channels.filter(({ status }) => status === 'fulfilled')).toHaveLength(MAX_CHANNELS);
    await expectServing();
  });

  it('cannot open a thousand connections', async () => {
    const outcomes: PromiseSettledResult<ChannelModel>[] = [];
    for (let group = 0; group < 20; group++)
      outcomes.push(...(await Promise.allSettled(Array.from({ length: 50 }, () => raw(mallory)))));
    const made = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect(made).toBeGreaterThan(0);
    expect(made).toBeLessThanOrEqual(2 * MAX_CONNECTIONS);
    await expectServing();
  });

  it('that publishes at full speed is slowed to its rate and does not keep others out', async () => {
    await broker.stop();
    broker = rabbit.broker({ framesPerSecond: 50 });
    broker.onFrame((from, frame) => void seen.push({ from, text: Buffer.from(frame).toString() }));
    await broker.start();
    const channel = await channelOf(mallory);
    let flooding = true;
    const flood = async (): Promise<void> => {
      while (flooding) {
        for (let at = 0; at < 500; at++)
          channel.publish(AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, mallory.user), Buffer.alloc(1024));
        await channel.waitForConfirms().catch(() => undefined); // what the full queue did not take
      }
    };
    const flooded = flood();
    await expectServing();
    flooding = false;
    await flooded;
    expect(seen.filter(({ from }) => from === agentAddress(mallory.user)).length).toBeLessThan(1000);
  });

  it('reads nobody else’s queue, and its own only once at a time', async () => {
    const bus = rabbit.agentBus(mallory);
    await bus.start();
    const channel = await channelOf(mallory);
    await expect(channel.consume(agentAddress(mallory.user), () => undefined)).rejects.toThrow(
      /exclusive use/,
    );
    await bus.stop();
  });

  it('that asks about another’s queue learns at most that it is there: nobody guesses 128 bits', async () => {
    const channel = await channelOf(mallory);
    await expect(channel.checkQueue(agentAddress(rabbit.agent().user))).rejects.toThrow(/NOT_FOUND/);
    const known = await (await channelOf(mallory))
      .checkQueue(agentAddress(honest.user))
      .catch(() => undefined);
    expect(known?.messageCount ?? 0).toBe(0);
  });

  it('is refused at login once it is revoked, and on its live connection at the next thing it begins', async () => {
    const channel = await channelOf(mallory);
    rabbit.revoke(mallory.user);
    await expect(connectAmqp(rabbit.url, mallory)).rejects.toEqual(code('NOT_AUTHORIZED'));
    await expect(channel.consume(agentAddress(mallory.user), () => undefined)).rejects.toThrow(
      /ACCESS_REFUSED/,
    );
  });

  it('comes through the proxy that the environment names, which sees no identity and can be nobody’s bus', async () => {
    const proxy = await openConnectProxy();
    proxy.leadTo(rabbit.server.port);
    vi.stubEnv('NODE_USE_ENV_PROXY', '1');
    vi.stubEnv('HTTPS_PROXY', proxy.url);
    try {
      // Nobody listens there: only the proxy knows the way.
      const url = 'amqps://localhost:443';
      const bus = rabbit.agentBus(mallory, { url });
      await bus.start();
      await bus.send(BROKER_ADDRESS, bytes('through'));
      await vi.waitFor(() => expect(seen.map(({ text }) => text)).toContain('through'), DEADLINE);
      expect(proxy.asked).toEqual([{ place: 'localhost:443', login: undefined }]);
      // What the proxy drops is made anew, by the proxy.
      proxy.cutAll();
      await vi.waitFor(() => expect(proxy.asked).toHaveLength(2), DEADLINE);
      await bus.stop();
      await expect(connectAmqp('amqps://127.0.0.1:443', mallory)).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringContaining('altnames'),
      });
      proxy.answer('403 Forbidden');
      await expect(connectAmqp(url, mallory)).rejects.toEqual(code('UNREACHABLE'));
      vi.stubEnv('NO_PROXY', 'localhost');
      await (await connectAmqp(rabbit.url, mallory)).close();
      expect(proxy.asked).toHaveLength(4);
    } finally {
      vi.unstubAllEnvs();
      await proxy.close();
    }
  });

  it('has every connection closed when it is evicted, and nobody else has', async () => {
    const mine = [await raw(mallory), await raw(mallory)];
    const other = await raw(honest);
    let isOtherClosed = false;
    other.on('close', () => (isOtherClosed = true));
    const closed = Promise.all(
      mine.map((model) => new Promise<string>((resolve) => model.on('close', (why) => resolve(String(why))))),
    );
    expect(await rabbit.evict(mallory.user)).toBe(2);
    for (const reason of await closed) expect(reason).toContain('serves this agent no more');
    expect(await rabbit.evict(mallory.user)).toBe(0);
    expect(isOtherClosed).toBe(false);
    await expectServing();
  });

  copiedKey({
    bus: () => ({
      broker,
      identityKey: rabbit.identityKey,
      agent: (keys) => rabbit.agent(keys),
      admit: (agent) => broker.admit(agent),
      agentBus: (login) => rabbit.agentBus(login),
      evict: (agent) => rabbit.evict(agent),
      judgeBy: (statusOf) => rabbit.judgeBy(statusOf),
    }),
    async lieInWait(login) {
      const model = await raw(login);
      const noticed = { isLost: false };
      model.on('close', () => (noticed.isLost = true));
      return noticed;
    },
  });

  it.each([
    ['by its identity', () => mallory.password],
    ['by what closes the connections of another', () => rabbit.evictionPassword(honest.user)],
  ])('learns and closes nothing at the management, %s', async (_what, password) => {
    await raw(honest);
    const login = { user: mallory.user, password: password() };
    await expect(closeConnections(rabbit.managementUrl, login)).rejects.toEqual(code('NOT_AUTHORIZED'));
  });

  // By the server's statistics, and by its own count.
  const LISTS = ['', '?disable_stats=true'];
  it.each(LISTS)(
    'that a broker is at the management, closes nobody else’s connection by name',
    async (query) => {
      await raw(honest);
      const of = (user: string) => {
        const login = Buffer.from(`${user}:${rabbit.evictionPassword(user)}`).toString('base64');
        return { authorization: `Basic ${login}` };
      };
      const names = await vi.waitFor(async () => {
        const listed = await fetch(`${rabbit.managementUrl}/api/connections${query}`, {
          headers: of(honest.user),
        });
        const found = (await listed.json()) as readonly { readonly name: string }[];
        expect(found).toHaveLength(1);
        return found;
      }, DEADLINE);
      const url = `${rabbit.managementUrl}/api/connections/${encodeURIComponent(names[0]!.name)}${query}`;
      const refused = await fetch(url, { method: 'DELETE', headers: of(mallory.user) });
      expect(refused.status).toBe(401);
      const seen = await fetch(`${rabbit.managementUrl}/api/connections${query}`, {
        headers: of(mallory.user),
      });
      expect(await seen.json()).toEqual([]);
      for (const path of ['/api/users', '/api/permissions', '/api/definitions'])
        expect((await fetch(`${rabbit.managementUrl}${path}`, { headers: of(mallory.user) })).status).toBe(
          401,
        );
      await expectServing();
    },
  );

  it.each([
    ['that has ended', { iat: 1_700_000_000, exp: 1_700_003_600 }],
    ['of another installation', { iss: 'elsewhere' }],
  ])('is refused at login with an identity %s', async (_what, change) => {
    await expect(connectAmqp(rabbit.url, rabbit.agent(change))).rejects.toEqual(code('NOT_AUTHORIZED'));
  });

  it('is refused with a password that is too large to be one, and others are served', async () => {
    const huge = { user: mallory.user, password: 'x'.repeat(60_000) };
    await expect(connectAmqp(rabbit.url, huge)).rejects.toThrow();
    await expectServing();
  });

  it('without a queue has its login mended by a renewal', async () => {
    const agent = rabbit.agent();
    let renewals = 0;
    const bus = rabbit.agentBus(agent, {
      async renewIdentity() {
        renewals++;
        await broker.admit(agent.user);
      },
    });
    await bus.start();
    expect(renewals).toBe(1);
    await bus.identityRenewed();
    await bus.send(broker.address, bytes('here'));
    await vi.waitFor(
      () => expect(seen).toEqual([{ from: agentAddress(agent.user), text: 'here' }]),
      DEADLINE,
    );
    await bus.stop();
  });

  describe('where the server lets everybody do everything', () => {
    beforeEach(() => rabbit.unlock(true));
    afterEach(() => rabbit.unlock(false));

    it('is seen by the lock-down check, thing by thing', async () => {
      const results = await probeAmqp({ url: rabbit.url, agents: [mallory, honest] });
      const leaks = results.filter(({ outcome }) => outcome === 'leak').map(({ attempt }) => attempt);
      expect(leaks).toEqual(
        expect.arrayContaining([
          "read another agent's queue",
          "purge another agent's queue",
          'publish in the name of another agent',
          'publish straight to another agent',
          'declare a queue',
          'log in with the password of another',
        ]),
      );
      expect(leaks.length).toBeGreaterThan(15);
    });

    it('makes a broker refuse to serve, and it says why', async () => {
      const directory = await temporaryDirectory('leaking-bus');
      const { configurations } = await openInstallation({ directory });
      const started = startBroker({
        directory: roleDirectory(directory, 'broker'),
        controlSocket: controlSocket(directory, 'broker'),
        configuration: {
          ...configurations.broker,
          instance: 'refusing',
          // As one of several: those of the tests before are on the bus too.
          ledger: { place: { url: 'postgres://127.0.0.1:1/none' }, failover: false },
          busPort: 0,
          buses: [
            {
              kind: 'rabbitmq',
              url: rabbit.url,
              password: rabbit.brokerPassword,
              managementUrl: rabbit.managementUrl,
            },
          ],
        },
        openLedger: openSqliteLedger,
        log: silentLog,
      });
      await expect(started).rejects.toMatchObject({
        code: 'INVALID_CONFIGURATION',
        message: expect.stringContaining("one could read another agent's queue"),
      });
      await removeDirectory(directory);
    });
  });

  describe('whose server cannot show that it is the right one', () => {
    it('does not send it an identity: a certificate that nobody vouches for', async () => {
      const believed = getCACertificates('default');
      setDefaultCACertificates([]);
      try {
        await expect(connectAmqp(rabbit.url, mallory)).rejects.toMatchObject({
          code: 'UNREACHABLE',
          message: expect.stringContaining('certificate'),
        });
      } finally {
        setDefaultCACertificates(believed);
      }
    });

    it('does not send it an identity: a certificate for another name', async () => {
      await expect(connectAmqp(`amqps://127.0.0.1:${rabbit.server.port}`, mallory)).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringContaining('altnames'),
      });
    });

    it('gets no answer in the clear', async () => {
      await expect(connectAmqp(`amqp://localhost:${rabbit.server.port}`, mallory)).rejects.toEqual(
        code('UNREACHABLE'),
      );
    });
  });

  it('is admitted with forty others at once', async () => {
    const agents = Array.from({ length: 40 }, () => rabbit.agent());
    await Promise.all(agents.map(({ user }) => broker.admit(user)));
    for (const agent of agents.slice(-2))
      expect(await (await channelOf(agent)).get(agentAddress(agent.user))).toBe(false);
  });

  it('that sends to a broker instance which is gone hears so', async () => {
    const other = rabbit.broker();
    await other.start();
    const bus = rabbit.agentBus(mallory);
    await bus.start();
    await bus.send(other.address, bytes('x'));
    await other.stop();
    await expect(bus.send(other.address, bytes('x'))).rejects.toEqual(code('UNREACHABLE'));
    await bus.stop();
  });

  describe('an adapter', () => {
    it('and the broker hear one another, and each learns when the other goes', async () => {
      const service = rabbit.service('storage');
      const [asked, answered, gone]: [string[], string[], Address[]] = [[], [], []];
      service.onFrame((from, frame) => {
        asked.push(`${from}: ${Buffer.from(frame).toString()}`);
        return service.send(from, bytes('answer'));
      });
      broker.onFrame((from, frame) => void answered.push(`${from}: ${Buffer.from(frame).toString()}`));
      broker.onGone((address) => gone.push(address));
      await expect(broker.send('service.storage', bytes('early'))).rejects.toEqual(code('UNREACHABLE'));
      await service.start();
      await eventually(
        'the adapter to be reached',
        () => broker.send('service.storage', bytes('question')).then(() => true),
        WITHIN_MS,
      );
      await vi.waitFor(() => expect(answered).toEqual(['service.storage: answer']), DEADLINE);
      expect(asked).toEqual([`${broker.address}: question`]);
      gone.length = 0;
      await service.stop();
      await vi.waitFor(() => expect(gone).toEqual(['service.storage']), DEADLINE);
    });

    it('with a wrong password is told so at once', async () => {
      const service = rabbit.service('storage', 'a password that is wrong');
      await expect(service.start()).rejects.toEqual(code('NOT_AUTHORIZED'));
      await service.stop();
    });

    it('finds the bus locked down with its own password, and refuses one that is not', async () => {
      const own = { user: 'service.storage', password: SERVICE_PASSWORD };
      const results = await probeAsService(rabbit.url, own);
      expect(results.filter(({ outcome }) => outcome !== 'as it should be')).toEqual([]);
      expect(() => refuseLeaks(results)).not.toThrow();
      rabbit.unlock(true);
      const leaking = await probeAsService(rabbit.url, own).finally(() => rabbit.unlock(false));
      expect(() => refuseLeaks(leaking)).toThrow(code('INVALID_CONFIGURATION'));
    });

    it.each<[string, (channel: ConfirmChannel) => Promise<unknown>]>([
      ['take the place of another adapter', (channel) => channel.assertQueue('service.other')],
      ['read what another adapter is sent', (channel) => channel.get('service.other')],
      [
        'hear what is said to another',
        (channel) => channel.bindQueue('service.storage', TRUSTED_EXCHANGE, '#'),
      ],
      ['hear what agents say', (channel) => channel.bindQueue('service.storage', AGENT_EXCHANGE, '#')],
      ['read an agent’s queue', (channel) => channel.get(agentAddress(honest.user))],
      ['read the brokers’ queue', (channel) => channel.get(BROKER_ADDRESS)],
      [
        'speak in the name of another',
        (channel) => published(channel, TRUSTED_EXCHANGE, 'broker:b.service~other'),
      ],
      [
        'speak in the name of an agent',
        (channel) => published(channel, AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, honest.user)),
      ],
      ['write to an agent', (channel) => published(channel, '', agentAddress(honest.user))],
    ])('whose password is stolen cannot %s', async (_what, attempt) => {
      const channel = await channelOf({ user: 'service.storage', password: SERVICE_PASSWORD });
      await channel.assertQueue('service.storage', { exclusive: true });
      await expect(attempt(channel)).rejects.toThrow(/ACCESS.REFUSED|channel closed/);
    });
  });
});
