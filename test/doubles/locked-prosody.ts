import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { type ProsodyListener, prosodyFiles } from '../../cli/prosody/server-files.ts';
import type { AmqpAgentBus } from '../../protocol/bindings/amqp-agent.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { createXmppAgentBus } from '../../protocol/bindings/xmpp-agent.ts';
import { createXmppBrokerBus, type XmppBrokerBus } from '../../protocol/bindings/xmpp-broker.ts';
import { createXmppServiceBus } from '../../protocol/bindings/xmpp-service.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import { type ProsodyPorts, type ProsodyServer, startProsody } from '../servers/prosody.ts';
import { isInstalled, needProgram } from '../servers/server-process.ts';
import { type AgentLogin, type BusDesk, openBusDesk } from './bus-desk.ts';
import { silentLog } from './silent-log.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

/** Where it is missing outside CI, what needs it is left out; in CI nothing is. */
export const LACKS_PROSODY = process.env['CI'] !== 'true' && !isInstalled('prosody');

/** Prosody as `co-pilot bus config prosody` sets it up, asking the broker's own code about agents. */
export interface LockedProsody {
  readonly server: ProsodyServer;
  readonly desk: BusDesk;
  /** Where agents come. */
  readonly url: string;
  /** Where components do. */
  readonly componentUrl: string;
  readonly domain: string;
  broker(options?: Partial<BrokerOptions>): XmppBrokerBus;
  agentBus(agent: AgentLogin, options?: Partial<AgentOptions>): AmqpAgentBus;
  service(name: string, secret?: string): Bus;
  stop(): Promise<void>;
}

interface BrokerOptions {
  readonly clock: Clock;
  readonly url: string;
  readonly secret: string;
  readonly instance: string;
  readonly framesPerSecond: number;
}

interface AgentOptions {
  readonly clock: Clock;
  readonly url: string;
  readonly renewIdentity: () => Promise<void>;
}

export interface LockedProsodyOptions {
  readonly withTls?: boolean;
  /** Changes files before the server reads them. */
  readonly change?: (files: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
}

export const SERVICE_SECRET = 'secret of the storage adapter';
export const BROKER_SECRET = 'secret of "the" \\ brokers';
export const INSTANCES = ['broker-1', 'broker-2', 'broker-3'];
const DOMAIN = 'localhost';

export async function openLockedProsody({
  withTls = false,
  change = (files) => files,
}: LockedProsodyOptions = {}): Promise<LockedProsody> {
  const directory = await temporaryDirectory('prosody');
  const desk = await openBusDesk();
  const folder = join(directory, 'server');
  const server = await startProsody(folder, (ports) =>
    change(
      prosodyFiles({
        directory: folder,
        domain: DOMAIN,
        listen: withTls ? tlsListener(folder, ports) : { kind: 'plain', host: '127.0.0.1', port: ports.bus },
        componentPort: ports.component,
        webSocketPort: ports.webSocket,
        decisionsUrl: desk.url,
        brokerSecret: BROKER_SECRET,
        brokers: INSTANCES,
        serviceSecrets: { storage: SERVICE_SECRET, other: `${SERVICE_SECRET} of another` },
        asRoot: process.getuid?.() === 0,
      }),
    ),
  ).catch(async (caught: unknown) => {
    await desk.close();
    throw caught;
  });
  const url = withTls ? `xmpp://localhost:${server.ports.bus}` : `xmpp://127.0.0.1:${server.ports.bus}`;
  const componentUrl = `xmpp://127.0.0.1:${server.ports.component}/${DOMAIN}`;
  const common = { clock: nodeClock, random: nodeRandom, log: silentLog };
  return {
    server,
    desk,
    url,
    componentUrl,
    domain: DOMAIN,
    broker: (options = {}) =>
      createXmppBrokerBus({
        ...common,
        url: componentUrl,
        secret: BROKER_SECRET,
        instance: 'broker-1',
        framesPerSecond: 10_000,
        ...options,
      }),
    agentBus: ({ user, password }, options = {}) =>
      createXmppAgentBus({
        ...common,
        url,
        agent: user,
        identity: () => password,
        renewIdentity: async () => undefined,
        ...options,
      }),
    service: (name, secret = SERVICE_SECRET) =>
      createXmppServiceBus({ ...common, url: componentUrl, address: `service.${name}`, secret }),
    async stop() {
      await server.stop();
      await desk.close();
      await removeDirectory(directory);
    },
  };
}

/** With a certificate for `localhost`, and for no other name, that is believed in this process from now on. */
function tlsListener(folder: string, ports: ProsodyPorts): ProsodyListener {
  const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
  mkdirSync(folder, { recursive: true });
  const openssl = needProgram('openssl', 'openssl');
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync(openssl, ['req', '-x509', ...kind, ...name, '-keyout', key, '-out', certificate], {
    stdio: 'pipe',
  });
  setDefaultCACertificates([...getCACertificates('default'), readFileSync(certificate, 'utf8')]);
  return { kind: 'tls', host: '127.0.0.1', port: ports.bus, directPort: ports.direct, certificate, key };
}
