import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { startBroker } from '../../../broker/main.ts';
import { controlSocket, openInstallation, roleDirectory } from '../../../cli/installation.ts';
import { type Address, BROKER_ADDRESS } from '../../../protocol/bindings/bus.ts';
import { probeXmpp } from '../../../protocol/bindings/xmpp-probe.ts';
import { nodeClock } from '../../../protocol/runtime/node-runtime.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';
import { openFaultProxy } from '../../doubles/fault-proxy.ts';
import { LACKS_PROSODY, openLockedProsody } from '../../doubles/locked-prosody.ts';
import { BROKER_SECRET, type LockedXmpp, type LockedXmppOptions } from '../../doubles/locked-xmpp.ts';
import { rawAgent } from '../../doubles/raw-xmpp.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { xmppAttacks } from './xmpp-attacks.ts';

const WITHIN_MS = 10_000;
const bytes = (what: string) => new TextEncoder().encode(what);
const GUARD = 'modules/mod_copilot_guard.lua';

describe.skipIf(LACKS_PROSODY)('on Prosody (left out where it is not installed)', () => {
  xmppAttacks({
    name: 'Prosody',
    open: () => openLockedProsody({ withTls: true }),
    forgedSender: 'replaced',
    comments: 'end the stream',
    names: 'held by one',
  });
});

describe.skipIf(LACKS_PROSODY)('a Prosody (left out where it is not installed)', () => {
  let prosody: LockedXmpp;
  const open = async (options: LockedXmppOptions = {}): Promise<LockedXmpp> => {
    prosody = await openLockedProsody(options);
    return prosody;
  };
  afterEach(() => prosody.stop());

  describe('whose guard does nothing', () => {
    const withoutGuard: LockedXmppOptions = {
      change: (files) => ({ ...files, [GUARD]: '-- nothing\n' }),
    };

    it('is seen by the lock-down check, thing by thing', async () => {
      const { desk, url, componentUrl } = await open(withoutGuard);
      const broker = prosody.broker();
      await broker.start();
      const agents = [desk.agent(), desk.agent()] as const;
      const results = await probeXmpp({ url, componentUrl, clock: nodeClock, agents });
      await broker.stop();
      const leaks = results.filter(({ outcome }) => outcome === 'leak').map(({ attempt }) => attempt);
      expect(leaks).toEqual(
        expect.arrayContaining([
          'write to another agent',
          'chat with another agent',
          'show itself to another agent',
          'ask another agent something',
        ]),
      );
    });

    it('makes a broker refuse to serve, and it says why', async () => {
      // The broker is asked about its own agents, and not about the desk's.
      const directory = await temporaryDirectory('leaking-bus');
      const { configurations } = await openInstallation({ directory });
      const { busPort } = configurations.broker;
      const { url, componentUrl } = await open({
        change: (files) => ({
          ...files,
          [GUARD]: '-- nothing\n',
          'prosody.cfg.lua': (files['prosody.cfg.lua'] ?? '').replace(
            /copilot_login_url = "http:\/\/127\.0\.0\.1:\d+/,
            `copilot_login_url = "http://127.0.0.1:${busPort}`,
          ),
        }),
      });
      const started = startBroker({
        directory: roleDirectory(directory, 'broker'),
        controlSocket: controlSocket(directory, 'broker'),
        configuration: {
          ...configurations.broker,
          buses: [
            {
              kind: 'prosody',
              url,
              componentUrl,
              password: BROKER_SECRET,
              managementUrl: 'http://127.0.0.1:15672',
            },
          ],
        },
        log: silentLog,
      });
      await expect(started).rejects.toMatchObject({
        code: 'INVALID_CONFIGURATION',
        message: expect.stringContaining('one could write to another agent'),
      });
      await removeDirectory(directory);
    });
  });

  it('whose guard cannot be loaded lets nobody in', async () => {
    const { desk, url } = await open({ change: (files) => ({ ...files, [GUARD]: 'this is no Lua' }) });
    await expect(rawAgent(url, desk.agent())).rejects.toMatchObject({
      code: expect.stringMatching(/NOT_AUTHORIZED|UNREACHABLE/),
    });
  });

  it('whose guard fails when it is asked carries nothing', async () => {
    const { desk, url } = await open({
      change: (files) => ({
        ...files,
        [GUARD]: (files[GUARD] ?? '').replace(
          'local function may_reach(',
          'local function may_reach_no_more(',
        ),
      }),
    });
    const broker = prosody.broker();
    const seen: Address[] = [];
    broker.onFrame((from) => void seen.push(from));
    await broker.start();
    const bus = prosody.agentBus(desk.agent(), { url });
    await bus.start();
    await bus.send(BROKER_ADDRESS, bytes('x'));
    const other = await rawAgent(url, desk.agent());
    await other.say();
    expect([...seen, ...other.heard]).toEqual([]);
    await other.close();
    await bus.stop();
    await broker.stop();
  });

  it('keeps what a broker says while an agent’s connection is cut until it is there again', async () => {
    const { desk, url } = await open();
    const proxy = await openFaultProxy();
    const port = Number(new URL(url).port);
    proxy.target(port);
    const broker = prosody.broker();
    const [heard, gone]: [Address[], Address[]] = [[], []];
    broker.onFrame((from) => void heard.push(from));
    broker.onGone((address) => gone.push(address));
    await broker.start();
    const bus = prosody.agentBus(desk.agent(), { url: `xmpp://127.0.0.1:${proxy.port}` });
    const answers: string[] = [];
    const states: string[] = [];
    bus.onFrame((_from, frame) => void answers.push(Buffer.from(frame).toString()));
    bus.onConnection((state) => states.push(state));
    await bus.start();
    await bus.send(BROKER_ADDRESS, bytes('hello'));
    await eventuallyTrue('it to be heard', () => heard.length > 0, WITHIN_MS);
    proxy.target(1);
    proxy.cutAll();
    await eventuallyTrue('the loss to be noticed', () => states.includes('down'), WITHIN_MS);
    for (let at = 0; at < 5; at++) await broker.send(heard[0]!, bytes(String(at)));
    proxy.target(port);
    await eventuallyTrue('all of them to arrive', () => answers.length === 5, WITHIN_MS);
    expect(answers).toEqual(['0', '1', '2', '3', '4']);
    expect(gone).toEqual([]);
    await bus.stop();
    await broker.stop();
    await proxy.close();
  });

  describe('whose certificate is not the right one', () => {
    it('is not sent an identity: nobody vouches for it', async () => {
      const { desk, url, directUrl = '' } = await open({ withTls: true });
      const believed = getCACertificates('default');
      setDefaultCACertificates([]);
      try {
        for (const address of [url, directUrl])
          await expect(rawAgent(address, desk.agent())).rejects.toMatchObject({
            code: 'UNREACHABLE',
            message: expect.stringContaining('certificate'),
          });
      } finally {
        setDefaultCACertificates(believed);
      }
    });

    it('is not sent an identity: it is for another name', async () => {
      const { desk, directUrl = '' } = await open({ withTls: true });
      const address = directUrl.replace('localhost', '127.0.0.1');
      await expect(rawAgent(address, desk.agent())).rejects.toMatchObject({
        code: 'UNREACHABLE',
        message: expect.stringContaining('altnames'),
      });
    });
  });
});
