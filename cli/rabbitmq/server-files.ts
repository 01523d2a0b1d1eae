import { createHash } from 'node:crypto';
import { BUS_PATHS } from '../../broker/http/bus-routes.ts';
import {
  MAX_CHANNELS,
  MAX_MESSAGE_BYTES,
  VIRTUAL_HOST,
  wordOf,
} from '../../protocol/bindings/amqp-topology.ts';
import { instanceAddress } from '../../protocol/bindings/parties.ts';
import { AGENT_EXCHANGE, EVENT_EXCHANGE, TRUSTED_EXCHANGE } from '../../protocol/bindings/amqp-topology.ts';
import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';

export interface RabbitOptions {
  /** Where the server reads its files. */
  readonly directory: string;
  readonly listen: RabbitListener;
  /** Where the broker answers who may do what, without a slash at its end. */
  readonly decisionsUrl: string;
  /** Where the server's management listens on the loopback interface: brokers close agents' connections there. */
  readonly managementPort: number;
  readonly brokerPassword: string;
  /** Adapters by name. */
  readonly servicePasswords: Readonly<Record<string, string>>;
  /** Connections to the virtual host in all. */
  readonly connections: number;
}

export type RabbitListener =
  | { readonly kind: 'plain'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'tls';
      /** All addresses of the machine where it is left out. */
      readonly host?: string;
      readonly port: number;
      readonly authority: string;
      readonly certificate: string;
      readonly key: string;
    };

/** User of all brokers, and of each adapter. */
export const BROKER_USER = BROKER_ADDRESS;

/** The files a RabbitMQ server for the Co-Pilot runs with, by name. */
export function rabbitFiles(options: RabbitOptions): Readonly<Record<string, string>> {
  return {
    'rabbitmq.conf': configurationOf(options),
    'definitions.json': `${JSON.stringify(definitionsOf(options), null, 2)}\n`,
    enabled_plugins: '[rabbitmq_auth_backend_http,rabbitmq_event_exchange,rabbitmq_management].\n',
  };
}

function configurationOf({ directory, listen, decisionsUrl, managementPort }: RabbitOptions): string {
  const paths = Object.entries(BUS_PATHS).map(
    ([name, path]) => `auth_http.${name}_path = ${decisionsUrl}${path}`,
  );
  return [
    ...listenerLines(listen),
    '',
    '# Brokers and adapters are users of this server; agents are judged by the broker.',
    'auth_mechanisms.1 = PLAIN',
    'auth_backends.1 = internal',
    'auth_backends.2 = http',
    'auth_http.http_method = post',
    ...paths,
    '',
    `default_vhost = ${VIRTUAL_HOST}`,
    `load_definitions = ${directory}/definitions.json`,
    '',
    '# An agent may not come in here; a broker may, for half a minute, in the name of one whose connections it closes.',
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${managementPort}`,
    'management.rates_mode = none',
    '# Statistics of each connection, every 5 s: nobody asks for them, and they are most of what idle agents cost.',
    'management_agent.disable_metrics_collector = true',
    '',
    '# What one client may cost.',
    `max_message_size = ${MAX_MESSAGE_BYTES}`,
    `channel_max = ${MAX_CHANNELS}`,
    'frame_max = 131072',
    'heartbeat = 10',
    '',
    'log.console = true',
    'log.console.level = warning',
    'log.file = false',
    '',
  ].join('\n');
}

function listenerLines(listen: RabbitListener): readonly string[] {
  if (listen.kind === 'plain') return [`listeners.tcp.1 = ${listen.host}:${listen.port}`];
  return [
    'listeners.tcp = none',
    listen.host === undefined
      ? `listeners.ssl.default = ${listen.port}`
      : `listeners.ssl.1 = ${listen.host}:${listen.port}`,
    `ssl_options.cacertfile = ${listen.authority}`,
    `ssl_options.certfile = ${listen.certificate}`,
    `ssl_options.keyfile = ${listen.key}`,
    'ssl_options.verify = verify_none',
    'ssl_options.versions.1 = tlsv1.3',
    'ssl_options.versions.2 = tlsv1.2',
  ];
}

function exchangeOf(name: string): object {
  return { name, type: 'topic', durable: true, auto_delete: false, internal: false, arguments: {} };
}

function definitionsOf({ brokerPassword, servicePasswords, connections }: RabbitOptions): object {
  const services = Object.entries(servicePasswords).map(([name, password]) => ({
    user: `service.${name}`,
    password,
  }));
  return {
    vhosts: [{ name: VIRTUAL_HOST }],
    // An adapter may come before the first broker.
    exchanges: [AGENT_EXCHANGE, TRUSTED_EXCHANGE].map(exchangeOf).map(inVirtualHost),
    users: [{ user: BROKER_USER, password: brokerPassword }, ...services].map(userOf),
    permissions: [BROKER_PERMISSION, ...services.map(({ user }) => servicePermission(user))].map(
      inVirtualHost,
    ),
    topic_permissions: [...BROKER_TOPICS, ...services.map(({ user }) => serviceTopic(user))].map(
      inVirtualHost,
    ),
    parameters: [
      {
        vhost: VIRTUAL_HOST,
        component: 'vhost-limits',
        name: 'limits',
        value: { 'max-connections': connections },
      },
    ],
  };
}

const ANY_INSTANCE = instanceAddress('[^.]+');
const ANY_QUEUE_OF_BROKERS = `${BROKER_ADDRESS}(:.*)?`;
const EXCHANGES = [AGENT_EXCHANGE, TRUSTED_EXCHANGE].map(quoted).join('|');

/** Brokers declare everything, and read nothing of an agent. */
const BROKER_PERMISSION = {
  user: BROKER_USER,
  configure: `^(${EXCHANGES}|${ANY_QUEUE_OF_BROKERS}|agent\\.[a-z2-7]{26})$`,
  write: `^(${quoted(TRUSTED_EXCHANGE)}|amq\\.default|${ANY_QUEUE_OF_BROKERS})$`,
  read: `^(${EXCHANGES}|${quoted(EVENT_EXCHANGE)}|${ANY_QUEUE_OF_BROKERS})$`,
};

const BROKER_TOPICS = [
  { user: BROKER_USER, exchange: AGENT_EXCHANGE, write: '^$', read: `^${ANY_QUEUE_OF_BROKERS}\\.\\*$` },
  {
    user: BROKER_USER,
    exchange: TRUSTED_EXCHANGE,
    write: `^service~[^.]+\\.${ANY_INSTANCE}$`,
    read: `^${ANY_INSTANCE}\\.\\*$`,
  },
];

/** An adapter has a queue of its own, and speaks to brokers in its own name. */
function servicePermission(user: string) {
  const own = quoted(user);
  const both = `^(${own}|${quoted(TRUSTED_EXCHANGE)})$`;
  return { user, configure: `^${own}$`, write: both, read: both };
}

function serviceTopic(user: string) {
  const own = quoted(wordOf(user));
  return { user, exchange: TRUSTED_EXCHANGE, write: `^${ANY_INSTANCE}\\.${own}$`, read: `^${own}\\.\\*$` };
}

function inVirtualHost<T extends object>(entry: T): T & { readonly vhost: string } {
  return { ...entry, vhost: VIRTUAL_HOST };
}

function quoted(text: string): string {
  return text.replaceAll('.', '\\.');
}

/** RabbitMQ's form of a salted digest: base64 of four bytes of salt and SHA-256 over salt and password. */
function userOf({ user, password }: { readonly user: string; readonly password: string }): object {
  // The same salt for the same password, so that the file is the same each time it is written.
  const salt = createHash('sha256').update(`salt of ${user} ${password}`).digest().subarray(0, 4);
  const digest = createHash('sha256').update(salt).update(password).digest();
  return {
    name: user,
    password_hash: Buffer.concat([salt, digest]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
    tags: [],
  };
}
