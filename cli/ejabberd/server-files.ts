import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BUS_PATHS } from '../../broker/http/bus-routes.ts';
import { MAX_FRAME_BYTES } from '../../protocol/bindings/bus.ts';

export interface EjabberdOptions {
  /** Agents are users of this domain. */
  readonly domain: string;
  readonly listen: EjabberdListener;
  /** On the loopback interface: components know no TLS. */
  readonly componentPort: number;
  /** Where the broker answers who may log in, without a slash at its end. */
  readonly decisionsUrl: string;
  /** Components that agents may speak to, with their passwords. */
  readonly brokers: Readonly<Record<string, string>>;
  /** Components that brokers alone may speak to. */
  readonly adapters: Readonly<Record<string, string>>;
}

export type EjabberdListener =
  | { readonly kind: 'plain'; readonly host: string; readonly port: number }
  | {
      readonly kind: 'tls';
      /** All addresses of the machine where it is left out. */
      readonly host?: string;
      readonly port: number;
      /** Certificate and key in one file. */
      readonly certificate: string;
    };

/** Our part of the server, in Erlang. */
export const EJABBERD_MODULES: readonly string[] = ['ejabberd_auth_copilot', 'mod_copilot_guard'];

/** A frame in base64, and as much again for what stands around it. */
const MAX_STANZA_BYTES = 2 * MAX_FRAME_BYTES;
/** Of one agent, in bytes: beyond it the server reads no further for a while. */
const AGENT_RATE = { rate: 262_144, burst_size: 1_048_576 };
/** An agent has one; the others are room for a connection that the server has not noticed to be dead. */
const SESSIONS_OF_ONE_AGENT = 4;

/** The files an ejabberd for the Co-Pilot runs with, by name. */
export function ejabberdFiles(options: EjabberdOptions): Readonly<Record<string, string>> {
  return {
    'ejabberd.yml': `${JSON.stringify(configurationOf(options), null, 2)}\n`,
    ...Object.fromEntries(EJABBERD_MODULES.map((name) => [`${name}.erl`, sourceOf(name)])),
  };
}

function sourceOf(name: string): string {
  return readFileSync(join(import.meta.dirname, 'modules', `${name}.erl`), 'utf8');
}

/** JSON is YAML, and quotes what must be quoted. */
function configurationOf({
  domain,
  listen,
  componentPort,
  decisionsUrl,
  brokers,
  adapters,
}: EjabberdOptions): object {
  return {
    hosts: [domain],
    loglevel: 'warning',
    s2s_access: 'none',
    auth_method: 'copilot',
    negotiation_timeout: 20,
    shaper: { agents: AGENT_RATE },
    shaper_rules: { max_user_sessions: SESSIONS_OF_ONE_AGENT },
    listen: [
      {
        module: 'ejabberd_c2s',
        ...agentListener(listen),
        shaper: 'agents',
        max_stanza_size: MAX_STANZA_BYTES,
      },
      {
        module: 'ejabberd_service',
        ip: '127.0.0.1',
        port: componentPort,
        max_stanza_size: MAX_STANZA_BYTES,
        check_from: true,
        global_routes: false,
        hosts: Object.fromEntries(
          Object.entries({ ...brokers, ...adapters }).map(([name, password]) => [name, { password }]),
        ),
      },
    ],
    modules: {
      mod_ping: { send_pings: true, ping_interval: 30, ping_ack_timeout: 20, timeout_action: 'kill' },
      mod_stream_mgmt: { resume_timeout: 60, max_ack_queue: 5000 },
      mod_copilot_guard: {
        brokers: Object.keys(brokers),
        adapters: Object.keys(adapters),
        login_url: `${decisionsUrl}${BUS_PATHS.user}`,
      },
    },
  };
}

function agentListener(listen: EjabberdListener): object {
  if (listen.kind === 'plain') return { ip: listen.host, port: listen.port };
  const { host = '::', port, certificate } = listen;
  return {
    ip: host,
    port,
    certfile: certificate,
    starttls_required: true,
    protocol_options: ['no_tlsv1', 'no_tlsv1_1'],
  };
}
