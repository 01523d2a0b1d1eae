import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { CoPilotError } from '../../../protocol/errors.ts';
import { NO_METER } from '../../../protocol/runtime/meter.ts';
import type { TakeSnapshot } from '../../../protocol/runtime/snapshot-desk.ts';
import type { Clock, Crypto, Log, Random } from '../../../protocol/runtime/runtime.ts';
import { repeatSteps } from '../../repeated-steps.ts';
import type { Ceiling } from '../ceiling.ts';
import type { StorageAdapter } from '../storage-adapter.ts';
import { createAttempts } from './attempts.ts';
import type { ExtraAlgorithm } from './digests.ts';
import { createNodeDisk } from './disk.ts';
import type { Disk } from './disk.ts';
import { type BridgeRetention, expireAttempts, FRONT } from './expire.ts';
import { createFreshness } from './freshness.ts';
import { createHttpFace } from './http-face.ts';
import { sweepInputs } from './inputs.ts';
import { DEFAULT_LIMITS } from './limits.ts';
import type { BridgeLimits } from './limits.ts';
import type { BridgeMeter } from './metrics.ts';
import { createPlaces } from './places.ts';
import { Quota } from './quota.ts';
import { openRegistry } from './registry.ts';
import type { Registry } from './registry.ts';
import { loadTokenKey } from './secrets.ts';
import { sweepAttempts } from './sweep.ts';
import { Uploads } from './uploads.ts';
import { Writers } from './writers.ts';

export interface BridgeOptions {
  /** Everything the bridge keeps lies in here; made where it is not there. One bridge per directory. */
  readonly directory: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** What agents reach the bridge by where that is not host and port: behind a proxy that ends TLS, for one. */
  readonly publicUrl?: string;
  /** The key capabilities are made with, mode 0600, made at the first start; in the directory where it is left out. */
  readonly tokenKeyFile?: string;
  /** What the trusted side brings to put inputs and read results. */
  readonly operatorToken: string;
  readonly ceiling: Ceiling;
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  readonly log: Log;
  readonly limits?: Partial<BridgeLimits>;
  /** Computed beside SHA-256 as bytes come; none by default, and later on request of the trusted side. */
  readonly digests?: readonly ExtraAlgorithm[];
  readonly disk?: Disk;
  readonly meter?: BridgeMeter;
  readonly retention?: Partial<BridgeRetention>;
}

/** The Data Bridge: a storage adapter on the local disk, with the HTTP service agents upload to and download from. */
export interface Bridge {
  /** What the broker speaks to; rejects with `UNREACHABLE` while the bridge is not started. */
  readonly adapter: StorageAdapter;
  /**
   * Opens the directory and listens. Rejects with `PORT_TAKEN`, `STORAGE_IN_USE` where another bridge has the directory,
   * `STORAGE_CORRUPT` where its registry is damaged. Calling it while started returns the same address.
   */
  start(): Promise<{ readonly url: string }>;
  /** Lets what is running end within `stopGraceMs`, then cuts it short, and lets go of everything. Idempotent. */
  stop(): Promise<void>;
  /** What it does now; nothing while it is not started. */
  load(): Promise<BridgeLoad>;
  /** Copies the bridge's records (not its files) to a new file. */
  readonly snapshot: TakeSnapshot;
  /** How many leftovers of the last stop were removed; settles when the search that `start` began is over. */
  swept(): Promise<number>;
}

const DAY_MS = 86_400_000;
/** Attempts looked at in one step: a few milliseconds. */
const EXPIRE_ATTEMPTS = 128;
export const DEFAULT_BRIDGE_RETENTION: BridgeRetention = {
  unfinishedMs: 14 * DAY_MS,
  discardedMs: 100 * DAY_MS,
};

export interface BridgeLoad {
  readonly uploads: number;
  readonly downloads: number;
  /** Stored or promised. */
  readonly usedBytes: number;
}

export function createBridge(options: BridgeOptions): Bridge {
  let running: Promise<Running> | undefined;
  const live = async (): Promise<StorageAdapter> => {
    if (running === undefined) throw new CoPilotError('UNREACHABLE', 'the bridge is not started');
    return (await running).adapter;
  };
  return {
    adapter: {
      mint: async (grant) => (await live()).mint(grant),
      verify: async (attempt, manifest) => (await live()).verify(attempt, manifest),
      finalise: async (attempt, manifest) => (await live()).finalise(attempt, manifest),
      discard: async (attempt) => (await live()).discard(attempt),
    },
    async start() {
      running ??= start(options);
      try {
        return { url: (await running).url };
      } catch (error) {
        running = undefined;
        throw error;
      }
    },
    async stop() {
      const stopping = running;
      running = undefined;
      if (stopping !== undefined) await stop(await stopping);
    },
    load: async () => (await running)?.load() ?? { uploads: 0, downloads: 0, usedBytes: 0 },
    async snapshot(path, onProgress) {
      if (running === undefined) throw new CoPilotError('UNREACHABLE', 'the bridge is not started');
      await (await running).registry.snapshot(path, onProgress);
    },
    swept: async () => (await running)?.sweeping ?? 0,
  };
}

interface Running {
  readonly url: string;
  readonly adapter: StorageAdapter;
  readonly stopExpiring: () => void;
  readonly load: () => BridgeLoad;
  readonly app: FastifyInstance;
  readonly registry: Registry;
  readonly writers: Writers;
  readonly served: ReadonlySet<Promise<unknown>>;
  readonly stopping: AbortController;
  readonly sweeping: Promise<number>;
  readonly options: BridgeOptions;
  readonly limits: BridgeLimits;
}

async function start(options: BridgeOptions): Promise<Running> {
  const disk = options.disk ?? createNodeDisk();
  const places = createPlaces(options.directory);
  await disk.makeDirectory(places.attempts);
  await disk.makeDirectory(places.inputs);
  const registry = openRegistry({ path: places.registry });
  try {
    return await serve(options, disk, registry);
  } catch (error) {
    registry.close();
    throw error;
  }
}

async function serve(options: BridgeOptions, disk: Disk, registry: Registry): Promise<Running> {
  const { clock, random, crypto, log, ceiling } = options;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const places = createPlaces(options.directory);
  const tokenKey = await loadTokenKey(
    options.tokenKeyFile ?? join(options.directory, 'capability.key'),
    random,
  );
  const quota = new Quota(ceiling, registry.tables.usedBytes());
  const writers = new Writers(limits);
  const shared = {
    clock,
    random,
    crypto,
    log,
    ceiling,
    digests: options.digests ?? [],
    meter: options.meter ?? NO_METER,
    limits,
    places,
    disk,
    registry,
    quota,
    writers,
    tokenKey,
  };
  const stopping = new AbortController();
  const served = new Set<Promise<unknown>>();
  const downloads = { count: 0 };
  let url = '';
  const app = createHttpFace({
    ...shared,
    freshness: createFreshness({ clock, random, crypto, nonceMs: limits.nonceMs, proofs: limits.proofs }),
    uploads: new Uploads(shared),
    downloads,
    served,
    operatorDigest: createHash('sha256').update(options.operatorToken).digest(),
    baseUrl: () => url,
    stopping: stopping.signal,
  });
  await sweepInputs(disk, places);
  const address = await listen(app, options);
  url = (options.publicUrl ?? address).replace(/\/+$/, '');
  const sweeping = sweepAttempts(shared, stopping.signal).catch((error: unknown) => {
    log.warn({ error: String(error) }, 'leftovers stay until the next start');
    return 0;
  });
  const place = { open: FRONT, settled: FRONT };
  const retention = { ...DEFAULT_BRIDGE_RETENTION, ...options.retention };
  const stopExpiring = repeatSteps(clock, log, () =>
    expireAttempts(shared, retention, place, EXPIRE_ATTEMPTS),
  );
  const adapter = createAttempts({ ...shared, baseUrl: url });
  const load = (): BridgeLoad => ({
    uploads: writers.count,
    downloads: downloads.count,
    usedBytes: quota.usedBytes,
  });
  return {
    url,
    adapter,
    stopExpiring,
    load,
    app,
    registry,
    writers,
    served,
    stopping,
    sweeping,
    options,
    limits,
  };
}

async function listen(app: FastifyInstance, options: BridgeOptions): Promise<string> {
  try {
    return await app.listen({ host: options.host, port: options.port });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE')
      throw new CoPilotError(
        'PORT_TAKEN',
        `port ${options.port} of ${options.host} is taken: choose another`,
        {
          cause,
        },
      );
    throw cause;
  }
}

async function stop(running: Running): Promise<void> {
  const { app, options, registry, limits } = running;
  running.stopExpiring();
  const cancel = options.clock.schedule(limits.stopGraceMs, () => {
    cutShort(running);
    app.server.closeAllConnections();
  });
  try {
    await app.close();
  } finally {
    cancel();
    cutShort(running);
    await Promise.allSettled([...running.served, running.sweeping]);
    registry.close();
  }
}

/** Ends uploads, inputs on their way and the sweep; what came of begun files stays. */
function cutShort(running: Running): void {
  running.writers.abortAll();
  running.stopping.abort(new CoPilotError('UNREACHABLE', 'the bridge stops'));
}
