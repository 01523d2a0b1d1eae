import type { Installation } from '../../cli/installation.ts';
import { serverFilesFor } from '../../cli/rabbitmq/installation-files.ts';
import { xmppServerFor } from '../../cli/xmpp-server.ts';
import type { Credential } from '../../protocol/bindings/amqp-connect.ts';
import { VIRTUAL_HOST } from '../../protocol/bindings/amqp-topology.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { startProsody } from '../servers/prosody.ts';
import { startRabbit } from '../servers/rabbitmq.ts';
import { freePort } from './free-port.ts';
import { EJABBERD } from './locked-ejabberd.ts';
import { PROSODY } from './locked-prosody.ts';

/** A bus server that several brokers share, to be started once the first of them has an installation. */
export interface StagedServer {
  readonly url: string;
  /** What `co-pilot.yaml` says of it. */
  readonly setting: string;
  start(installation: Installation, directory: string): Promise<{ stop(): Promise<void> }>;
}

export type StagedServerKind = 'rabbitmq' | 'prosody' | 'ejabberd';

/** Who runs the bus, where it is RabbitMQ. */
export const OPERATOR: Credential = { user: 'operator', password: 'password of whoever runs the bus' };

/** An XMPP server must know the names of all brokers that may come. */
export async function stageServer(kind: StagedServerKind, brokers: readonly string[]): Promise<StagedServer> {
  if (kind === 'rabbitmq') return stageRabbit();
  const [bus, component] = [await freePort(), await freePort()];
  const setup = kind === 'prosody' ? PROSODY : EJABBERD;
  const start = kind === 'prosody' ? startProsody : startEjabberd;
  const url = `xmpp://localhost:${bus}`;
  return {
    url,
    setting: `bus: { kind: ${kind}, url: "${url}", componentPort: ${component}, brokers: [${brokers.join(', ')}] }`,
    start: (installation, directory) =>
      start(directory, () => setup.files(xmppServerFor(installation, directory, kind)), { bus, component }),
  };
}

async function stageRabbit(): Promise<StagedServer> {
  const [bus, management] = [await freePort(), await freePort()];
  const url = `amqp://127.0.0.1:${bus}`;
  return {
    url,
    setting: `bus: { kind: rabbitmq, url: "${url}", managementUrl: "http://127.0.0.1:${management}" }`,
    start: (installation, directory) =>
      startRabbit(directory, () => withOperator(serverFilesFor(installation, directory)), bus),
  };
}

/** The server's files with a user that may do everything on it. */
function withOperator(files: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const definitions = JSON.parse(files['definitions.json'] ?? '') as {
    readonly users: readonly object[];
    readonly permissions: readonly object[];
  };
  const { user, password } = OPERATOR;
  const everything = { configure: '.*', write: '.*', read: '.*' };
  const more = {
    ...definitions,
    users: [...definitions.users, { name: user, password, tags: ['administrator'] }],
    permissions: [...definitions.permissions, { user, vhost: VIRTUAL_HOST, ...everything }],
  };
  return { ...files, 'definitions.json': JSON.stringify(more) };
}
