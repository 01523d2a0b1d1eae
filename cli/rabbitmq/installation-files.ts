import type { BusServerConfiguration } from '../../broker/program-configuration.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type { Installation } from '../installation.ts';
import { type RabbitListener, rabbitFiles } from './server-files.ts';

/** Beside the agents there is room for brokers, adapters and probes. */
const CONNECTIONS = 20_000;
const DEFAULT_PORT = { amqp: 5672, amqps: 5671, management: 15672 } as const;

export interface CertificatePaths {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

/**
 * What a RabbitMQ server for this installation runs with, its files in `directory`. Throws `INVALID_CONFIGURATION` where the
 * installation has no bus server.
 */
export function serverFilesFor(
  { configurations: { broker } }: Installation,
  directory: string,
  paths?: CertificatePaths,
): Readonly<Record<string, string>> {
  const { busPort } = broker;
  const busServer = broker.buses.find((bus): bus is BusServerConfiguration => bus.kind === 'rabbitmq');
  if (busServer === undefined)
    throw new CoPilotError(
      'INVALID_CONFIGURATION',
      'this installation has another bus; set bus.kind to rabbitmq and bus.url to the address of the server',
    );
  return rabbitFiles({
    directory,
    listen: listenerOf(new URL(busServer.url), directory, paths),
    decisionsUrl: `http://127.0.0.1:${busServer.accessPort ?? busPort}`,
    managementPort: managementPortOf(new URL(busServer.managementUrl)),
    brokerPassword: busServer.password,
    servicePasswords: Object.fromEntries(broker.services.map(({ name, secret }) => [name, secret])),
    connections: CONNECTIONS,
  });
}

/** Behind a proxy with TLS it listens at its usual port. */
function managementPortOf({ protocol, port }: URL): number {
  return protocol === 'http:' ? Number(port || 80) : DEFAULT_PORT.management;
}

function listenerOf(
  { protocol, hostname, port }: URL,
  directory: string,
  paths?: CertificatePaths,
): RabbitListener {
  if (protocol === 'amqp:') {
    const host = hostname === 'localhost' ? '127.0.0.1' : hostname.replaceAll(/^\[|\]$/g, '');
    return { kind: 'plain', host, port: port === '' ? DEFAULT_PORT.amqp : Number(port) };
  }
  const {
    authority = `${directory}/ca.pem`,
    certificate = `${directory}/server.pem`,
    key = `${directory}/server.key`,
  } = paths ?? {};
  return { kind: 'tls', port: port === '' ? DEFAULT_PORT.amqps : Number(port), authority, certificate, key };
}
