/**
 * The least an end point could do for the same conversation: the agents' frames, validation, the signature checks and the signature of
 * a cycle, and as many rows and bytes in a group commit of the same kind. It has no adapters and none of their frames, and decides nothing.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { createMemoryLedger } from '../../broker/ledger/memory.ts';
import { type Caller, createAgentSessions } from '../../broker/service/agent-sessions.ts';
import { createWebSocketHub } from '../../protocol/bindings/websocket-server.ts';
import { base32, fromBase64url, newId } from '../../protocol/encoding.ts';
import type { Lease, Report } from '../../protocol/generated/types.ts';
import type { AgentMessage } from '../../protocol/messages.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import { createNodeRuntime } from '../../protocol/runtime/node-runtime.ts';
import { judgeGrant, signGrant, thumbprint } from '../../protocol/tokens.ts';
import { silentLog } from '../doubles/silent-log.ts';
import type { FloorDuties } from './floor-duties.ts';
import { floorRows } from './floor-rows.ts';
import { cpuMicroseconds, servePeer } from './serve-peer.ts';
import { unsealed } from './unsealed.ts';
import { DESCRIPTION, HOST, INSTALLATION, QUEUE, type Stage, stageKeys } from './stage.ts';
import type { WriteVolume } from './write-volume.ts';

export interface FloorQuestions {
  start(options: {
    readonly directory: string;
    readonly stage: Stage;
    readonly volume: WriteVolume;
    readonly duties: FloorDuties;
  }): Promise<{ readonly url: string }>;
  cpu(nothing: null): number;
}

const sealing = createNodeRuntime(silentLog);
const LEASE_SECONDS = 900;
const CAPABILITY_LENGTH = 230;
const UNSIGNED = 'u'.repeat(CAPABILITY_LENGTH);
let stop = async (): Promise<void> => undefined;

servePeer<FloorQuestions>({ start, cpu: cpuMicroseconds }, () => stop());

async function start({ directory, stage, volume, duties }: Parameters<FloorQuestions['start']>[0]) {
  const runtime = duties.seals ? sealing : { ...sealing, crypto: unsealed(sealing.crypto) };
  const keys = stageKeys(runtime.crypto, stage);
  const rows = floorRows(volume);
  const worker = new Worker(new URL('./floor-writer.ts', import.meta.url), {
    workerData: {
      path: join(directory, `floor-${process.pid}.sqlite`),
      rows,
      syncs: duties.syncs,
      auditBytes: duties.audits ? Math.round(volume.auditBytes) : 0,
    },
  });
  const groups = createGroups(worker, 'r'.repeat(rows.bytes));
  const write = duties.writes ? groups : () => Promise.resolve();
  const { clock, random } = runtime;
  const bus = createWebSocketHub({
    host: HOST,
    port: 0,
    services: new Map(),
    clock,
    random,
    log: silentLog,
    limits: { rate: { perSecond: 100_000, burst: 200_000 } },
  });
  const { session, grant, certifier, identity } = keys;
  const sessions = createAgentSessions({
    runtime,
    configuration: {
      installation: INSTALLATION,
      instance: 'floor',
      start: newId(random),
      keys: { session, grant, certifier, identity: identity.publicKey },
      queues: [],
      services: [],
      limits: NO_LIMITS,
      sweepMs: 0,
      parkMs: 0,
      verdictWaitMs: 0,
      maxParked: 0,
    },
    // Says who may come in; nothing of a cycle goes there.
    ledger: createMemoryLedger({ clock }),
    send: (to, frame) => void bus.send(to, frame).catch(() => undefined),
    onMessage: (caller, message) => answer(caller, message),
    follow: () => undefined,
  });

  async function answer(caller: Caller, message: AgentMessage): Promise<void> {
    const { slot, counter } = message;
    if (message.kind === 'request')
      caller.send({ kind: 'job', slot, counter, lease: lease(caller), verdicts: [] });
    if (message.kind !== 'report') return;
    if (duties.signs) check(caller, message);
    const next = message.next && lease(caller);
    await write();
    const { job, attempt } = message;
    const said = { verdict: 'committed', reason: '' } as const;
    caller.send({
      kind: 'reported',
      slot,
      counter,
      job,
      attempt,
      ...said,
      ...(next && { next }),
      verdicts: [],
    });
  }

  function check(caller: Caller, report: Report): void {
    const evidence = reportEvidence(INSTALLATION, caller.agent, report);
    const signature = fromBase64url(report.signature);
    if (signature === undefined || !runtime.crypto.verify(caller.signingKey, evidence, signature))
      throw new Error('a report is not signed');
  }

  function lease(caller: Caller): Lease {
    const job = base32(runtime.random.bytes(16));
    const [output] = DESCRIPTION.outputs;
    const token = duties.signs ? grantOf(caller, job) : UNSIGNED;
    // The broker's capability comes from the storage adapter; this one is cut from the grant, to the same length.
    const capability = {
      verb: 'put',
      name: output?.name ?? '',
      url: `http://storage.invalid/v1/attempts/${job}/1/${output?.name}`,
      token: token.slice(0, CAPABILITY_LENGTH),
    } as const;
    return {
      job,
      attempt: 1,
      queue: QUEUE,
      leaseSeconds: LEASE_SECONDS,
      firstRenewSeconds: 60,
      description: DESCRIPTION,
      capabilities: [capability],
    };
  }

  function grantOf(caller: Caller, job: string): string {
    const now = Math.floor(clock.wallMs() / 1000);
    const [output] = DESCRIPTION.outputs;
    const token = signGrant(runtime.crypto, grant, {
      iss: 'floor',
      job,
      attempt: 1,
      jkt: thumbprint(runtime.crypto, caller.signingKey.raw),
      get: [],
      put: [{ name: output?.name ?? '', maxBytes: output?.maxBytes ?? 0 }],
      totalBytes: output?.maxBytes ?? 0,
      iat: now,
      exp: now + LEASE_SECONDS,
    });
    const judged =
      duties.checksGrants && judgeGrant(runtime.crypto, grant.publicKey, token, clock.wallMs()).kind;
    if (judged !== false && judged !== 'valid') throw new Error('a grant is not valid');
    return token;
  }

  bus.onFrame((from, frame) => sessions.receive(from, frame));
  bus.onGone((address) => sessions.gone(address));
  await bus.start();
  stop = async () => {
    sessions.stop();
    await bus.stop();
    await worker.terminate();
  };
  return { url: `ws://${HOST}:${bus.address().port}/bus` };
}

const NO_LIMITS = {
  liveAttemptsPerAgent: 0,
  liveAttemptsPerOwner: 0,
  unresolvedPerAgent: 0,
  quickFailureMs: 0,
  quickFailuresAllowed: 0,
  coolDownMs: 0,
  maxCoolDownMs: 0,
};

/** What comes while a group is synced is the next group, as in the ledger. */
function createGroups(worker: Worker, text: string): () => Promise<void> {
  let queued: (() => void)[] = [];
  let running: (() => void)[] = [];
  const post = (): void => {
    if (running.length > 0 || queued.length === 0) return;
    running = queued;
    queued = [];
    worker.postMessage(running.map(() => text));
  };
  worker.on('message', () => {
    const done = running;
    running = [];
    for (const resolve of done) resolve();
    post();
  });
  return () =>
    new Promise((resolve) => {
      queued.push(resolve);
      queueMicrotask(post);
    });
}
