import { readFileSync } from 'node:fs';
import { MAX_FRAME_TEXT, MAX_STANZA_BYTES } from '../../protocol/bindings/xmpp-bounds.ts';
import { type Component, componentsOf, loginUrl, type XmppServerOptions } from '../xmpp-server.ts';

export interface ProsodyOptions extends XmppServerOptions {
  /** Whether the server stays root where it is started as root: its files are root's alone. */
  readonly asRoot?: boolean;
}

export const CONFIGURATION_FILE = 'prosody.cfg.lua';
export const PID_FILE = 'prosody.pid';
/** The server's own modules, beside this file. */
const MODULES = ['mod_auth_copilot.lua', 'mod_copilot_evict.lua', 'mod_copilot_guard.lua'];
/** A client that lost its connection has so long to take its stream up again. */
const HIBERNATION_SECONDS = 60;
/** Stanzas kept for it meanwhile. */
const HIBERNATION_STANZAS = 500;
/** So many may be unacknowledged before a client is asked; to ask after each costs as much as the stanza. */
const UNACKNOWLEDGED = 20;

/** The files a Prosody server for the Co-Pilot runs with, by name. */
export function prosodyFiles(options: ProsodyOptions): Readonly<Record<string, string>> {
  const modules = MODULES.map((name): [string, string] => [
    `modules/${name}`,
    readFileSync(new URL(`modules/${name}`, import.meta.url), 'utf8'),
  ]);
  return Object.fromEntries([[CONFIGURATION_FILE, configurationOf(options)], ...modules]);
}

function configurationOf(options: ProsodyOptions): string {
  const { directory, domain } = options;
  const { brokers, adapters } = componentsOf(options);
  return [
    `plugin_paths = { ${quoted(`${directory}/modules`)} }`,
    `data_path = ${quoted(`${directory}/data`)}`,
    `pidfile = ${quoted(`${directory}/${PID_FILE}`)}`,
    'daemonize = false',
    ...(options.asRoot === true ? ['run_as_root = true'] : []),
    'log = { { levels = { min = "warn" }, to = "console" } }',
    'admins = {}',
    'storage = "none"',
    '-- Without this each small answer waits for the one before to be acknowledged.',
    'network_settings = { nagle = false }',
    '-- Collects when the memory in use has doubled. Left to itself it collects all the time, and that is two thirds of what a stanza costs.',
    'gc = { mode = "incremental", threshold = 200, speed = 400 }',
    '',
    ...listenerLines(options),
    's2s_ports = {}',
    `component_interfaces = { "127.0.0.1" }`,
    `component_ports = { ${options.componentPort} }`,
    `component_stanza_size_limit = ${MAX_STANZA_BYTES}`,
    ...webSocketLines(options),
    '',
    '-- What one client may cost. The rate is well above the largest stanza, without which the server’s bound on that is not kept.',
    `c2s_stanza_size_limit = ${MAX_STANZA_BYTES}`,
    'limits = { c2s = { rate = "512kb/s", burst = "5s" } }',
    `smacks_hibernation_time = ${HIBERNATION_SECONDS}`,
    `smacks_max_unacked_stanzas = ${UNACKNOWLEDGED}`,
    `smacks_max_queue_size = ${HIBERNATION_STANZAS}`,
    'smacks_max_old_sessions = 1',
    '',
    `modules_enabled = { ${modulesOf(options).map(quoted).join(', ')} }`,
    'modules_disabled = { "s2s", "s2s_auth_certs", "offline", "carbons", "register_ibr", "private", "vcard" }',
    '',
    `copilot_agents = ${quoted(domain)}`,
    `copilot_brokers = { ${brokers.map(({ name }) => quoted(name)).join(', ')} }`,
    `copilot_adapters = { ${adapters.map(({ name }) => quoted(name)).join(', ')} }`,
    `copilot_max_frame_text = ${MAX_FRAME_TEXT}`,
    `copilot_login_url = ${quoted(loginUrl(options))}`,
    '',
    `VirtualHost ${quoted(domain)}`,
    '  authentication = "copilot"',
    '  modules_enabled = { "copilot_evict", "copilot_guard" }',
    ...[...brokers, ...adapters].flatMap(componentLines),
    '',
  ].join('\n');
}

/** A server that has no certificate must not offer TLS: clients would take the offer. */
function modulesOf({ listen, webSocketPort }: ProsodyOptions): readonly string[] {
  return [
    ...['posix', 'saslauth', 'ping', 'smacks', 'limits', 'presence'],
    ...(listen.kind === 'tls' ? ['tls'] : []),
    ...(webSocketPort === undefined ? [] : ['websocket']),
  ];
}

function listenerLines({ listen }: ProsodyOptions): readonly string[] {
  if (listen.kind === 'plain')
    return [
      '-- On this machine alone: an identity is its password.',
      `interfaces = { ${quoted(listen.host)} }`,
      `c2s_ports = { ${listen.port} }`,
      'c2s_require_encryption = false',
      'allow_unencrypted_plain_auth = true',
    ];
  const withTls = ['c2s_require_encryption = true', 'allow_unencrypted_plain_auth = false'];
  if (listen.kind === 'proxy') return ['c2s_ports = {}', ...withTls];
  const { host, port, directPort, certificate, key } = listen;
  return [
    ...(host === undefined ? [] : [`interfaces = { ${quoted(host)} }`]),
    `c2s_ports = { ${port ?? ''} }`,
    `c2s_direct_tls_ports = { ${directPort ?? ''} }`,
    ...withTls,
    `ssl = { certificate = ${quoted(certificate)}, key = ${quoted(key)} }`,
    `c2s_direct_tls_ssl = { certificate = ${quoted(certificate)}, key = ${quoted(key)} }`,
  ];
}

function webSocketLines({ webSocketPort: port, domain }: ProsodyOptions): readonly string[] {
  if (port === undefined) return ['http_ports = {}', 'https_ports = {}'];
  return [
    'http_interfaces = { "127.0.0.1" }',
    `http_ports = { ${port} }`,
    'https_ports = {}',
    `http_default_host = ${quoted(domain)}`,
    '-- Reached through a proxy that ends TLS.',
    'consider_websocket_secure = true',
  ];
}

function componentLines({ name, secret }: Component): readonly string[] {
  return [
    '',
    `Component ${quoted(name)}`,
    `  component_secret = ${quoted(secret)}`,
    '  modules_enabled = { "copilot_guard" }',
  ];
}

/** A text as Lua writes one. */
function quoted(text: string): string {
  const escaped = text.replaceAll(
    /[\\"\n\r\0]/g,
    (character) => `\\${String(character.charCodeAt(0)).padStart(3, '0')}`,
  );
  return `"${escaped}"`;
}
