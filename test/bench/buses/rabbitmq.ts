import { join } from 'node:path';
import { BROKER_USER, rabbitFiles, type RabbitOptions } from '../../../cli/rabbitmq/server-files.ts';
import { openAdmission } from '../../../protocol/bindings/amqp-admission.ts';
import { VIRTUAL_HOST } from '../../../protocol/bindings/amqp-topology.ts';
import { base64url } from '../../../protocol/encoding.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { freePort } from '../../doubles/free-port.ts';
import { startRabbit } from '../../servers/rabbitmq.ts';
import type { BenchServer, BenchServerOptions } from './bench-server.ts';

const RAW_USER = 'raw';
/** Brokers, adapters, and whoever tries what they may. */
const MORE_CONNECTIONS = 100;

/** RabbitMQ as `co-pilot bus config rabbitmq` sets it up. */
export async function startBenchRabbit({
  directory,
  stage,
  clients,
}: BenchServerOptions): Promise<BenchServer> {
  const folder = join(directory, 'server');
  const password = base64url(nodeRandom.bytes(24));
  const busPort = await freePort();
  const managementPort = await freePort();
  const managementUrl = `http://127.0.0.1:${managementPort}`;
  const server = await startRabbit(folder, (port) =>
    withRawUser({
      directory: folder,
      listen: { kind: 'plain', host: '127.0.0.1', port },
      decisionsUrl: `http://127.0.0.1:${busPort}`,
      managementPort,
      brokerPassword: password,
      servicePasswords: stage.secrets,
      connections: clients + MORE_CONNECTIONS,
    }),
  );
  const url = `amqp://127.0.0.1:${server.port}`;
  return {
    get pid() {
      return server.pid;
    },
    url,
    serviceUrl: url,
    broker: { buses: [{ kind: 'rabbitmq', url, password, managementUrl }], busPort },
    raw: { kind: 'amqp', url, user: RAW_USER, password },
    async admit(agents) {
      const admission = await openAdmission(url, { user: BROKER_USER, password });
      for (const agent of agents) await admission.admit(agent);
      await admission.close();
    },
    stop: () => server.stop(),
  };
}

interface Definitions {
  readonly users: readonly { readonly name: string }[];
  readonly permissions: readonly object[];
}

/** One user more, with the broker's password, who may do everything: the raw queues are none of ours. */
function withRawUser(options: RabbitOptions): Readonly<Record<string, string>> {
  const files = rabbitFiles(options);
  const definitions = JSON.parse(files['definitions.json'] ?? '') as Definitions;
  const { users, permissions } = definitions;
  const broker = users.find(({ name }) => name === BROKER_USER);
  const everything = { user: RAW_USER, vhost: VIRTUAL_HOST, configure: '.*', write: '.*', read: '.*' };
  const more = {
    users: [...users, { ...broker, name: RAW_USER }],
    permissions: [...permissions, everything],
  };
  return { ...files, 'definitions.json': JSON.stringify({ ...definitions, ...more }) };
}
