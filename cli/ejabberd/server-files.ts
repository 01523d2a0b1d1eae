import { readFileSync } from 'node:fs';
import { MAX_STANZA_BYTES } from '../../protocol/bindings/xmpp-bounds.ts';
import { componentsOf, loginUrl, type XmppListener, type XmppServerOptions } from '../xmpp-server.ts';
import { LIBRARIES, MODULES_FOLDER, PID_FILE, START_FILE } from './modules.ts';

/** Our part of the server, in Erlang, beside this file. */
const MODULES = ['ejabberd_auth_copilot.erl', 'mod_copilot_evict.erl', 'mod_copilot_guard.erl'];
/** Of one agent, in bytes: beyond it the server reads no further for a while. */
const AGENT_RATE = { rate: 524_288, burst_size: 1_048_576 };
/** An agent has one; the others are room for a connection that the server has not noticed to be dead. */
const SESSIONS_OF_ONE_AGENT = 4;
/** A client that lost its connection has so long to take its stream up again. */
const HIBERNATION_SECONDS = 60;
/** Stanzas that one party has not acknowledged; at 500 a burst ends the session. */
const UNACKNOWLEDGED = 5000;
const NO_OLD_TLS = ['no_sslv3', 'no_tlsv1', 'no_tlsv1_1'];

/** The files an ejabberd for the Co-Pilot runs with, by name. */
export function ejabberdFiles(options: XmppServerOptions): Readonly<Record<string, string>> {
  const modules = MODULES.map((name): [string, string] => [
    `${MODULES_FOLDER}/${name}`,
    readFileSync(new URL(`modules/${name}`, import.meta.url), 'utf8'),
  ]);
  return Object.fromEntries([
    // JSON is YAML, and quotes what must be quoted.
    ['ejabberd.yml', `${JSON.stringify(configurationOf(options), null, 2)}\n`],
    [START_FILE, startScript(options.directory)],
    ...modules,
  ]);
}

function configurationOf(options: XmppServerOptions): object {
  const { domain, listen, componentPort, webSocketPort } = options;
  const { brokers, adapters } = componentsOf(options);
  return {
    hosts: [domain],
    loglevel: 'warning',
    s2s_access: 'none',
    auth_method: 'copilot',
    negotiation_timeout: 20,
    shaper: { agents: AGENT_RATE },
    shaper_rules: { max_user_sessions: SESSIONS_OF_ONE_AGENT },
    ...(listen.kind === 'tls' && { certfiles: [listen.certificate, listen.key] }),
    listen: [
      ...agentListeners(listen),
      ...(webSocketPort === undefined ? [] : [webSocketListener(webSocketPort)]),
      {
        module: 'ejabberd_service',
        ip: '127.0.0.1',
        port: componentPort,
        max_stanza_size: MAX_STANZA_BYTES,
        check_from: true,
        global_routes: false,
        hosts: Object.fromEntries(
          [...brokers, ...adapters].map(({ name, secret }) => [name, { password: secret }]),
        ),
      },
    ],
    modules: {
      mod_ping: { send_pings: true, ping_interval: 30, ping_ack_timeout: 20, timeout_action: 'kill' },
      mod_stream_mgmt: { resume_timeout: HIBERNATION_SECONDS, max_ack_queue: UNACKNOWLEDGED },
      mod_copilot_evict: {},
      mod_copilot_guard: {
        brokers: brokers.map(({ name }) => name),
        adapters: adapters.map(({ name }) => name),
        login_url: loginUrl(options),
      },
    },
  };
}

function agentListeners(listen: XmppListener): readonly object[] {
  const common = { module: 'ejabberd_c2s', shaper: 'agents', max_stanza_size: MAX_STANZA_BYTES };
  if (listen.kind === 'proxy') return [];
  if (listen.kind === 'plain') return [{ ...common, ip: listen.host, port: listen.port }];
  const { host = '::', port, directPort } = listen;
  const secure = { ...common, ip: host, protocol_options: NO_OLD_TLS };
  return [
    ...(port === undefined ? [] : [{ ...secure, port, starttls_required: true }]),
    ...(directPort === undefined ? [] : [{ ...secure, port: directPort, tls: true }]),
  ];
}

/** Reached through a proxy that ends TLS. */
function webSocketListener(port: number): object {
  return {
    module: 'ejabberd_http',
    ip: '127.0.0.1',
    port,
    request_handlers: { '/xmpp-websocket': 'ejabberd_http_ws' },
  };
}

/** One process that is no node of a cluster: it opens no port but those of its configuration. */
function startScript(directory: string): string {
  const place = (name: string): string => inShell(`${directory}/${name}`);
  return [
    '#!/bin/sh',
    '# Starts ejabberd with the files beside this one, in the foreground.',
    `export HOME=${inShell(directory)}`,
    `export ERL_LIBS="\${ERL_LIBS:-${LIBRARIES}}"`,
    'export ERL_CRASH_DUMP_BYTES=0',
    `export EJABBERD_CONFIG_PATH=${place('ejabberd.yml')}`,
    `export EJABBERD_LOG_PATH=${place('log/ejabberd.log')}`,
    // Erlang takes its place, and its number.
    `echo $$ > ${place(PID_FILE)}`,
    `exec erl -noinput -pa ${place(MODULES_FOLDER)} -mnesia dir ${inShell(`"${directory}/spool"`)} -s ejabberd`,
    '',
  ].join('\n');
}

function inShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
