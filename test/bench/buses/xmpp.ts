import { join } from 'node:path';
import { instanceAddress } from '../../../protocol/bindings/parties.ts';
import { jidOf } from '../../../protocol/bindings/xmpp-names.ts';
import { base64url } from '../../../protocol/encoding.ts';
import { createCrypto, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { freePort } from '../../doubles/free-port.ts';
import type { XmppSetup } from '../../doubles/locked-xmpp.ts';
import { enrolAgent, HOST, INSTANCE, stageKeys } from '../stage.ts';
import { AGENTS } from '../throughput.ts';
import type { BenchServer, BenchServerOptions } from './bench-server.ts';

const DOMAIN = 'localhost';
/** The guard knows it as a broker, which agents may write to. */
const RAW_INSTANCE = 'raw';
const SMALL_RATE = /512kb\/s|524288|1048576/g;

/** An XMPP server as `co-pilot bus config` sets it up, but that one client may send as fast as it can. */
export async function startBenchXmpp(
  setup: XmppSetup,
  { directory, stage, keepsRates = false }: BenchServerOptions,
): Promise<BenchServer> {
  const folder = join(directory, 'server');
  const secret = base64url(nodeRandom.bytes(24));
  const busPort = await freePort();
  const rates = keepsRates ? (files: Files) => files : withoutRates;
  const server = await setup.start(folder, (ports) =>
    rates(
      setup.files({
        directory: folder,
        domain: DOMAIN,
        listen: { kind: 'plain', host: HOST, port: ports.bus },
        componentPort: ports.component,
        decisionsUrl: `http://${HOST}:${busPort}`,
        brokerSecret: secret,
        brokers: [INSTANCE, RAW_INSTANCE],
        serviceSecrets: stage.secrets,
      }),
    ),
  );
  const service = `xmpp://${HOST}:${server.ports.bus}`;
  const componentService = `xmpp://${HOST}:${server.ports.component}`;
  const componentUrl = `${componentService}/${DOMAIN}`;
  const crypto = createCrypto();
  const { identity } = stageKeys(crypto, stage);
  return {
    pid: server.pid,
    url: service,
    serviceUrl: componentUrl,
    broker: {
      buses: [{ kind: setup.name, url: service, password: secret, componentUrl, managementUrl: '' }],
      busPort,
    },
    raw: {
      kind: 'xmpp',
      service,
      componentService,
      domain: DOMAIN,
      component: jidOf(instanceAddress(RAW_INSTANCE), DOMAIN) ?? '',
      secret,
      logins: Array.from({ length: AGENTS }, (_, index) => {
        const enrolled = enrolAgent(crypto, identity, index);
        return { user: enrolled.agent, password: enrolled.identity };
      }),
    },
    admit: async () => undefined,
    stop: () => server.stop(),
  };
}

type Files = Readonly<Record<string, string>>;

function withoutRates(files: Files): Files {
  let found = 0;
  const many = (rate: string): string => {
    found += 1;
    return rate.endsWith('/s') ? '512mb/s' : '536870912';
  };
  const changed = Object.entries(files).map(([name, text]) => [
    name,
    /[.](lua|yml)$/.test(name) && !name.includes('/') ? text.replace(SMALL_RATE, many) : text,
  ]);
  if (found === 0) throw new Error('the rate of a client is written otherwise now');
  return Object.fromEntries(changed) as Files;
}
