import { join } from 'node:path';
import { fromHex, newId } from '../protocol/encoding.ts';
import { createSnapshotDesk } from '../protocol/runtime/snapshot-desk.ts';
import { loadKey } from '../protocol/runtime/key-file.ts';
import { createMetrics } from '../protocol/runtime/metrics.ts';
import { type MetricsServer, startMetricsServer } from '../protocol/runtime/metrics-server.ts';
import { createNodeRuntime } from '../protocol/runtime/node-runtime.ts';
import type { Clock, Log, Runtime } from '../protocol/runtime/runtime.ts';
import type { Outcome } from './core/command.ts';
import { challengeKeyOf } from './enrolment/challenge.ts';
import { configuredMethods, DEFAULT_AGENTS_PER_OWNER } from './enrolment/configured-methods.ts';
import { createEnrolment } from './enrolment/enrolment.ts';
import { registrar } from './enrolment/register.ts';
import { createPostgresCodeStore } from './enrolment/postgres-code-store.ts';
import { openCodeStore } from './enrolment/sqlite-code-store.ts';
import { createControlServer } from './http/control-routes.ts';
import { readTlsFiles, watchTlsFiles } from './http/tls-files.ts';
import { createEnrolmentServer, showPair } from './http/enrolment-routes.ts';
import { listen, listenLocally } from './http/listen.ts';
import { firstRing, RING_FILE } from './keys/key-ring.ts';
import { type LiveKeys, openLiveKeys } from './keys/live-keys.ts';
import type { LedgerKeeping } from './ledger/keeping.ts';
import type { Ledger } from './ledger/ledger.ts';
import { openPostgresLedger } from './ledger/postgres.ts';
import type { LedgerNews } from './ledger/news.ts';
import { openSqliteLedger, type SqliteLedgerOptions } from './ledger/sqlite.ts';
import {
  BROKER_METRICS,
  type BrokerMeter,
  type BrokerMetric,
  collectStatus,
  countOutcome,
} from './metrics.ts';
import { createProgramBus } from './bus/create-program-bus.ts';
import { EMBEDDED_DOOR } from './bus/embedded-bus.ts';
import type { BrokerProgramConfiguration } from './program-configuration.ts';
import { createBroker } from './service/broker.ts';
import { logOutcome } from './service/job-log.ts';
import { createHousekeeping, ledgerRetention } from './service/housekeeping.ts';
import type { BrokerConfiguration } from './service/configuration.ts';

export interface BrokerProgramOptions {
  /** The broker's own directory, 0700: ledger and codes. */
  readonly directory: string;
  /** Path of the socket the operator's commands come by; its directory is this user's alone. */
  readonly controlSocket: string;
  readonly configuration: BrokerProgramConfiguration;
  readonly log: Log;
  /** Nothing can be served any more: end, and be started again. */
  readonly onFatal?: () => void;
  /** Sees every durable outcome. */
  readonly onOutcome?: (outcome: Outcome) => void;
  /** Opens the ledger; the configured one where it is left out. */
  readonly openLedger?: OpenLedger;
}

type OpenLedger = (options: SqliteLedgerOptions) => Promise<Ledger & LedgerKeeping & Partial<LedgerNews>>;

export interface BrokerProgram {
  readonly busUrl: string;
  readonly enrolmentUrl: string;
  /** Undefined where no port is configured. */
  readonly metricsUrl: string | undefined;
  stop(): Promise<void>;
}

/** Starts a broker with its bus, its ledger, enrolment over HTTP and control over a socket of its own directory. */
export async function startBroker(options: BrokerProgramOptions): Promise<BrokerProgram> {
  const { directory, configuration, log, openLedger = opensLedger(options.configuration) } = options;
  const runtime = createNodeRuntime(log);
  const keys = await openKeys(runtime, directory, configuration);
  const tlsFiles = configuration.enrolment?.tls;
  const tls = tlsFiles && (await readTlsFiles(tlsFiles));
  const codes = opensCodes(configuration, directory, runtime.clock);
  const metrics = createMetrics<BrokerMetric>(BROKER_METRICS, (meter) => collect(meter));
  const ledger = await openLedger({
    onGroup: (commands, seconds, failure) => {
      metrics.observe('copilot_ledger_group_seconds', seconds);
      metrics.observe('copilot_ledger_group_commands', commands);
      if (failure !== undefined) metrics.add('copilot_ledger_failures_total', failure);
    },
    path: join(directory, 'ledger.sqlite'),
    clock: runtime.clock,
    log,
    ...(options.onFatal && { onDeath: options.onFatal }),
  }).catch(async (caught: unknown) => {
    await codes.close();
    keys.stop();
    throw caught;
  });
  const programBus = await createProgramBus({
    runtime,
    configuration,
    keys,
    agent: (id) => ledger.agent(id),
  });
  const broker = createBroker({
    runtime,
    configuration: {
      ...brokerConfiguration(configuration, runtime, keys),
      address: programBus.address,
      ...(programBus.doors && { doors: programBus.doors, nearDoor: EMBEDDED_DOOR }),
    },
    bus: programBus.bus,
    ledger,
    meter: metrics,
    ...(programBus.evict && { evict: programBus.evict }),
    onOutcome: (outcome) => {
      countOutcome(metrics, outcome);
      if (configuration.log?.jobs !== false) logOutcome(log, outcome);
      options.onOutcome?.(outcome);
    },
  });
  const collect = async (meter: BrokerMeter): Promise<void> => {
    collectStatus(meter, broker.status(), broker.sessionEvents());
    const connections = programBus.connectionCount();
    if (connections !== undefined) meter.set('copilot_bus_connections', connections);
    for (const [state, count] of Object.entries(await ledger.count()))
      meter.set('copilot_jobs', count, state);
  };
  let metricsServer: MetricsServer | undefined;
  let enrolmentUrl = '';
  const enrolment = createEnrolment({
    runtime,
    installation: configuration.installation,
    get identityKey() {
      return keys.identity();
    },
    get certifier() {
      return keys.certifier().publicKey;
    },
    renewableKeys: () => keys.renewable(),
    droppedKeys: () => keys.dropped(),
    endorsement: () => keys.endorsement(),
    challengeKey: challengeKeyOf(runtime.crypto, loadKey(runtime.crypto, configuration.keys.certifier)),
    codes,
    ...(configuration.enrolment && { methods: configuredMethods(configuration.enrolment, runtime) }),
    publicUrl: () => configuration.publicEnrolmentUrl ?? enrolmentUrl,
    busUrls: () => programBus.agentUrls(),
    ...(configuration.enrolment?.elsewhere && { elsewhere: configuration.enrolment.elsewhere }),
    agent: (id) => ledger.agent(id),
    register: registrar(ledger, configuration.enrolment?.agentsPerOwner ?? DEFAULT_AGENTS_PER_OWNER),
    admit: (agent) => programBus.admit(agent),
  });
  const enrolmentServer = createEnrolmentServer({
    enrolment,
    clock: runtime.clock,
    log,
    ...(tls && { tls }),
  });
  const tlsWatch =
    tlsFiles && tls && watchTlsFiles(tlsFiles, tls, runtime, (pair) => showPair(enrolmentServer, pair));
  const housekeeping = createHousekeeping({
    ...runtime,
    keeping: ledger,
    retention: ledgerRetention(configuration.retention),
  });
  const snapshots = createSnapshotDesk({
    directory,
    log,
    // Codes first: one that is spent meanwhile is then spent by an agent that the ledger may know.
    files: {
      'codes.sqlite': (path, onProgress) => codes.snapshot(path, onProgress),
      'ledger.sqlite': (path, onProgress) => ledger.snapshot(path, onProgress),
    },
  });
  const controlServer = createControlServer({
    broker,
    enrolment,
    ledger,
    queues: configuration.queues,
    metrics,
    snapshots,
    clock: runtime.clock,
    log,
  });
  const stop = async (): Promise<void> => {
    housekeeping.stop();
    tlsWatch?.stop();
    await metricsServer?.stop();
    await Promise.allSettled([enrolmentServer.close(), controlServer.close()]);
    await broker.stop();
    await codes.close();
    keys.stop();
  };
  try {
    enrolmentUrl = await listen(enrolmentServer, configuration.host, configuration.enrolmentPort);
    await broker.start();
    housekeeping.start();
    if (configuration.metrics !== undefined)
      metricsServer = await startMetricsServer(metrics, configuration.metrics.port, log);
    await listenLocally(controlServer, options.controlSocket);
  } catch (caught) {
    await stop();
    throw caught;
  }
  return { busUrl: programBus.url(), enrolmentUrl, metricsUrl: metricsServer?.url, stop };
}

/** SQLite in the broker's directory, unless a database is configured. */
function opensLedger({ ledger, instance }: BrokerProgramConfiguration): OpenLedger {
  if (ledger === undefined) return openSqliteLedger;
  return (options) => openPostgresLedger({ ...options, ...ledger, instance });
}

function openKeys(
  runtime: Runtime,
  directory: string,
  { installation, keys, keyRing = join(directory, RING_FILE) }: BrokerProgramConfiguration,
): Promise<LiveKeys> {
  return openLiveKeys({ runtime, installation, path: keyRing, first: firstRing(keys) });
}

/** Beside the ledger: codes that several brokers take are in the database that they share. */
function opensCodes({ ledger, instance }: BrokerProgramConfiguration, directory: string, clock: Clock) {
  return ledger === undefined
    ? openCodeStore(join(directory, 'codes.sqlite'))
    : createPostgresCodeStore(ledger.place, `co-pilot ${instance} codes`, clock);
}

function brokerConfiguration(
  program: BrokerProgramConfiguration,
  runtime: Runtime,
  keys: LiveKeys,
): BrokerConfiguration {
  const { installation, instance, queues, limits, sweepMs, parkMs, verdictWaitMs, maxParked } = program;
  return {
    installation,
    instance,
    start: newId(runtime.random),
    keys: {
      session: loadKey(runtime.crypto, program.keys.session),
      get grant() {
        return keys.grant();
      },
      get certifier() {
        return keys.certifier();
      },
      get identity() {
        return keys.identity().publicKey;
      },
      identities: () => keys.identities(),
      formerIdentities: () => keys.former(),
    },
    services: program.services.map(({ name, key, keyId }) => ({
      name,
      keyId,
      key: runtime.crypto.importPublic('x25519', fromHex(key)),
    })),
    queues,
    limits,
    sweepMs,
    parkMs,
    verdictWaitMs,
    maxParked,
  };
}
