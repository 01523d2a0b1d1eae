import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { enrol } from '../../agent/enrol.ts';
import { codeWay } from '../../agent/enrolment-way.ts';
import { postJson } from '../../agent/http-json.ts';
import { invariants } from '../../broker/core/invariants.ts';
import type { AgentRow, JobRow, OwnerRow } from '../../broker/core/state.ts';
import { codeDigest } from '../../broker/enrolment/challenge.ts';
import { openCodeStore } from '../../broker/enrolment/sqlite-code-store.ts';
import { type BrokerProgramOptions, startBroker } from '../../broker/main.ts';
import { openSqliteStore, type SqliteStore } from '../../broker/ledger/sqlite-store.ts';
import { askBroker } from '../../cli/connection.ts';
import { base64url } from '../../protocol/encoding.ts';
import { decodeEnrolmentCode } from '../../protocol/enrolment.ts';
import type { File, Lease } from '../../protocol/generated/types.ts';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import { eventually } from '../doubles/eventually.ts';
import type { LiveAgent } from '../doubles/live-agent.ts';
import { type LiveBroker, openLiveBroker } from '../doubles/live-broker.ts';
import { silentLog } from '../doubles/silent-log.ts';
import type { Promised } from './images.ts';
import { createTracedBroker } from './traced-broker.ts';
import { heardMs, type Trace } from './traced-program.ts';

/** What a broker told somebody. */
export type BrokerPromise =
  | { readonly kind: 'accepted'; readonly job: string }
  | { readonly kind: 'leased' | 'released'; readonly of: Asked }
  | { readonly kind: 'reported'; readonly of: Asked; readonly manifest: readonly File[] }
  /** `promised` to the agent, `committed` to the framework. */
  | { readonly kind: 'promised' | 'committed'; readonly of: Ref; readonly manifest: readonly File[] }
  | { readonly kind: 'code'; readonly digest: string }
  /** `wallMs` is when it was spent: an image may be looked at when the code has long ended. */
  | { readonly kind: 'enrolled'; readonly digest: string; readonly key: string; readonly wallMs: number }
  | { readonly kind: 'revoked'; readonly agent: string };

interface Ref {
  readonly job: string;
  readonly attempt: number;
}

/** An attempt, and the message that was answered about it. */
interface Asked extends Ref {
  readonly agent: string;
  readonly counter: number;
}

export interface BrokerLoad {
  readonly trace: Trace;
  readonly promises: readonly Promised<BrokerPromise>[];
  /** What is wrong with a broker's files, given what it had promised; of every eighth after its program has run on them. */
  check(directory: string, kept: readonly BrokerPromise[]): Promise<readonly string[]>;
}

type Tell = (what: BrokerPromise) => void;

const END_MS = 60_000;
const crypto = createCrypto();

/** Runs the real broker program under strace, `jobs` a multiple of four: agents that lease, upload, report and give back, codes that are made and spent. */
export async function traceBroker(folder: string, jobs: number): Promise<BrokerLoad> {
  const traced = createTracedBroker(join(folder, 'broker.trace'));
  const broker = await openLiveBroker({
    start: (options) => traced.start(options),
    queue: { leaseMs: 60_000, firstRenewMs: 60_000 },
  });
  const heard: { readonly atMs: number; readonly what: BrokerPromise }[] = [];
  const tell: Tell = (what) => heard.push({ atMs: heardMs(), what });
  try {
    await runLoad(broker, jobs, tell);
    await broker.stopBroker();
    const trace = await traced.trace();
    const promises = heard.map(({ atMs, what }) => ({ line: trace.sentBefore(atMs), what }));
    let checked = 0;
    return {
      trace,
      promises,
      async check(directory, kept) {
        if (checked++ % 8 === 0) await runProgram(directory, traced.configuration());
        return checkBroker(directory, kept);
      },
    };
  } finally {
    await broker.close();
  }
}

async function runLoad(broker: LiveBroker, jobs: number, tell: Tell): Promise<void> {
  const ids = Array.from({ length: jobs }, () => broker.submit());
  const agents = await Promise.all([0, 1, 2, 3].map(() => broker.agent()));
  const accepted = ids.map((id) => watchAccepted(broker, id, tell));
  const share = jobs / agents.length;
  const work = agents.map((agent) => workThrough(broker, agent, share, tell));
  await Promise.all([...accepted, ...work, spendCodes(broker, Math.ceil(jobs / 6), tell)]);
  const [last] = agents;
  if (last === undefined) return;
  await askBroker(broker.directory, 'POST', `/v1/agents/${last.id}/revoke`);
  tell({ kind: 'revoked', agent: last.id });
}

async function watchAccepted({ framework }: LiveBroker, job: string, tell: Tell): Promise<void> {
  await eventually(
    'the job to be accepted',
    () => {
      const state = framework.record(job)?.progress.state;
      return state === 'pending' || state === 'handed' ? undefined : state;
    },
    END_MS,
  );
  tell({ kind: 'accepted', job });
}

/** Every third attempt is given back. */
async function workThrough(broker: LiveBroker, agent: LiveAgent, jobs: number, tell: Tell): Promise<void> {
  for (let done = 0, at = 0; done < jobs; at += 1) {
    const lease = await takeJob(agent, tell);
    if (at % 3 === 2) {
      const counter = agent.count();
      const { job, attempt } = lease;
      await agent.ask({ kind: 'release', job, attempt, reason: 'drain', counter }, END_MS);
      tell({ kind: 'released', of: { job, attempt, agent: agent.id, counter } });
    } else {
      await finish(broker, agent, lease, tell);
      done += 1;
    }
  }
}

async function takeJob(agent: LiveAgent, tell: Tell): Promise<Lease> {
  const counter = agent.count();
  const request = { kind: 'request', ad: { OpSys: 'LINUX', Cpus: 1 }, seen: [], counter };
  const answer = await agent.ask(request, END_MS);
  if (answer.kind !== 'job') throw new Error(`no job came but ${JSON.stringify(answer)}`);
  const { job, attempt } = answer.lease;
  tell({ kind: 'leased', of: { job, attempt, agent: agent.id, counter } });
  return answer.lease;
}

async function finish(broker: LiveBroker, agent: LiveAgent, lease: Lease, tell: Tell): Promise<void> {
  const { job, attempt } = lease;
  const bytes = new TextEncoder().encode(`events of ${job}, attempt ${attempt}`);
  const manifest = [await agent.upload(lease, 'events.dat', bytes)];
  const counter = agent.count();
  const answer = await agent.ask({ ...agent.report(lease, manifest), counter }, END_MS);
  if (answer.kind !== 'reported') throw new Error(`the report was answered ${JSON.stringify(answer)}`);
  const of = { job, attempt, agent: agent.id, counter };
  tell({ kind: 'reported', of, manifest });
  if (answer.verdict === 'committed') tell({ kind: 'promised', of, manifest });
  await broker.end(job);
  tell({ kind: 'committed', of, manifest });
}

async function spendCodes(broker: LiveBroker, codes: number, tell: Tell): Promise<void> {
  for (let made = 0; made < codes; made += 1) {
    const text = await broker.newCode();
    const code = decodeEnrolmentCode(text);
    const digest = codeDigest(crypto, code.secret);
    tell({ kind: 'code', digest });
    const keys = { signing: crypto.generate('ed25519'), session: crypto.generate('x25519') };
    const signal = AbortSignal.timeout(END_MS);
    await enrol(codeWay(code), { keys, crypto, post: postJson, nowMs: () => Date.now(), signal });
    tell({ kind: 'enrolled', digest, key: base64url(keys.signing.publicKey.raw), wallMs: Date.now() });
  }
}

/** Starts the broker program on an image, which takes up all that is due, and stops it. */
async function runProgram(
  directory: string,
  configuration: BrokerProgramOptions['configuration'],
): Promise<void> {
  const program = await startBroker({
    directory,
    controlSocket: join(directory, 'control.sock'),
    configuration: { ...configuration, busPort: 0, enrolmentPort: 0 },
    log: silentLog,
  });
  await program.stop();
}

async function checkBroker(directory: string, kept: readonly BrokerPromise[]): Promise<readonly string[]> {
  const store = openSqliteStore(join(directory, 'ledger.sqlite'));
  const codes = openCodeStore(join(directory, 'codes.sqlite'));
  try {
    const faults = kept.flatMap((what) => missingInLedger(store, what));
    for (const what of kept) if (what.kind === 'enrolled') faults.push(...(await unspent(codes, what)));
    const spent = new Set(kept.flatMap((what) => (what.kind === 'enrolled' ? [what.digest] : [])));
    for (const what of kept)
      if (what.kind === 'code' && !spent.has(what.digest)) faults.push(...codeFaults(directory, what.digest));
    return [...faults, ...invariants(snapshotOf(store))];
  } finally {
    await codes.close();
    store.close(store.clockMs);
  }
}

function missingInLedger(store: SqliteStore, what: BrokerPromise): readonly string[] {
  switch (what.kind) {
    case 'accepted':
      return store.job(what.job) === undefined ? [`accepted job ${what.job} is lost`] : [];
    case 'leased':
      return [...wrongState(store, what.of, ANY), ...lostCounter(store, what.of)];
    case 'released':
      return [...wrongState(store, what.of, ['void']), ...lostCounter(store, what.of)];
    case 'reported':
      return [
        ...wrongState(store, what.of, REPORTED),
        ...lostCounter(store, what.of),
        ...lostFiles(store, what),
      ];
    case 'promised':
      return [...wrongState(store, what.of, ['committing', 'committed']), ...lostFiles(store, what)];
    case 'committed':
      return [...wrongState(store, what.of, ['committed']), ...lostFiles(store, what)];
    case 'revoked': {
      const status = store.agent(what.agent)?.status ?? 'unknown';
      return status === 'revoked' ? [] : [`revoked agent ${what.agent} is ${status}`];
    }
    case 'code':
    case 'enrolled':
      return []; // in a file of their own
  }
}

const ANY = ['live', 'reported', 'waiting', 'committing', 'committed', 'void'];
const REPORTED = ['reported', 'waiting', 'committing', 'committed'];

function attemptOf(store: SqliteStore, { job, attempt }: Ref) {
  return store.job(job)?.job.attempts.find(({ number }) => number === attempt);
}

function wrongState(store: SqliteStore, of: Ref, wanted: readonly string[]): readonly string[] {
  const state = attemptOf(store, of)?.state ?? 'lost';
  return wanted.includes(state)
    ? []
    : [`attempt ${of.job}/${of.attempt} is ${state}, not ${wanted.join(' or ')}`];
}

function lostCounter(store: SqliteStore, { agent, counter }: Asked): readonly string[] {
  const found = store.agent(agent)?.slots['1']?.counter ?? 0;
  return found >= counter ? [] : [`agent ${agent} is at counter ${found}, was answered ${counter}`];
}

function lostFiles(
  store: SqliteStore,
  { of, manifest }: { readonly of: Ref; readonly manifest: readonly File[] },
): readonly string[] {
  const found = JSON.stringify(attemptOf(store, of)?.manifest);
  return found === JSON.stringify(manifest) ? [] : [`attempt ${of.job}/${of.attempt} has manifest ${found}`];
}

async function unspent(
  codes: ReturnType<typeof openCodeStore>,
  { digest, key, wallMs }: Extract<BrokerPromise, { kind: 'enrolled' }>,
): Promise<readonly string[]> {
  const another = await codes.spend(digest, `not ${key}`, wallMs);
  const again = await codes.spend(digest, key, wallMs);
  return [
    ...(another.kind === 'spent' ? [`spent code ${digest} can be spent again`] : []),
    ...(again.kind === 'refused' ? [`spent code ${digest} is refused to its own key`] : []),
  ];
}

/** A code that was handed out and not answered yet may have been spent. */
function codeFaults(directory: string, digest: string): readonly string[] {
  const database = new DatabaseSync(join(directory, 'codes.sqlite'));
  try {
    const found = database.prepare('SELECT digest FROM code WHERE digest = ?').get(digest);
    return found === undefined ? [`code ${digest} is lost`] : [];
  } finally {
    database.close();
  }
}

function snapshotOf({ database }: SqliteStore) {
  const rows = (table: string): readonly unknown[] =>
    database
      .prepare(`SELECT row FROM ${table}`)
      .all()
      .map(({ row }) => JSON.parse(String(row)) as unknown);
  return {
    jobs: rows('job') as readonly JobRow[],
    agents: rows('agent') as readonly AgentRow[],
    owners: rows('owner') as readonly OwnerRow[],
  };
}
