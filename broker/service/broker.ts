import type { Outcome } from '../core/command.ts';
import type { AgentRow, JobRow } from '../core/state.ts';
import type { LedgerKeeping } from '../ledger/keeping.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LedgerNews } from '../ledger/news.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import { type Meter, NO_METER } from '../../protocol/runtime/meter.ts';
import type { Cancel, Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskItem } from '../../protocol/session/trusted-link.ts';
import type { ResponderLimits } from '../../protocol/session/responder.ts';
import { withState } from './adapter-state.ts';
import { createAdapterLinks } from './adapter-links.ts';
import { createAgentMessages } from './agent-messages.ts';
import { createAgentNews } from './agent-news.ts';
import { createAgentSessions, type SessionMetric } from './agent-sessions.ts';
import { createWeights } from '../matching/weights.ts';
import { type AskMetric, meteredAsk } from './metered-ask.ts';
import type { SessionCounters } from '../../protocol/session/counters.ts';
import { createAttemptsUnderWay } from './attempts-under-way.ts';
import { createAvailableJobs } from './available-jobs.ts';
import type { BrokerConfiguration } from './configuration.ts';
import { createDuties } from './duties.ts';
import { createEvictions, endsConnections, type Evict } from './evictions.ts';
import { createFetching } from './fetching.ts';
import { parseDescription } from './description.ts';
import { createNewsReader } from './news-reader.ts';
import { createLeaseAnswers } from './lease-answer.ts';
import { createSeenAgents } from './seen-agents.ts';
import { createTroubles } from './troubles.ts';
import { createVerdicts } from './verdicts.ts';
import { createVerifier } from './verification.ts';
import { createWhy, type WhyFacts } from './why-facts.ts';

export interface BrokerOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly bus: Bus;
  readonly ledger: Ledger & LedgerKeeping & Partial<LedgerNews>;
  readonly sessionLimits?: Partial<ResponderLimits>;
  /** Sees every outcome once it is durable: for displays and metrics. */
  readonly onOutcome?: (outcome: Outcome) => void;
  readonly meter?: Meter<AskMetric | SessionMetric>;
  /** Where the bus can close connections of an agent that is not served any more. */
  readonly evict?: Evict;
}

export interface Broker {
  start(): Promise<void>;
  /** Takes an agent out for good; its live attempts end at once. */
  revoke(agent: string, reason: string): Promise<void>;
  /** The agent gets no lease from now on, or leases again; undefined where it is unknown, or out for good. */
  drain(agent: string, draining: boolean): Promise<AgentRow | undefined>;
  presence(agent: string): AgentPresence;
  cancel(job: string, reason: string): Promise<JobRow | undefined>;
  status(): BrokerStatus;
  /** What may be why a job is where it is; `queue` is where one belongs that the ledger does not have. */
  why(job: string, queue?: string): Promise<WhyFacts>;
  sessionEvents(): SessionEvents;
  stop(): Promise<void>;
}

/** Soft: what this start of the broker heard of an agent. */
export interface AgentPresence {
  readonly connected: boolean;
  /** By this machine's clock. */
  readonly lastHeardMs: number | undefined;
}

export interface BrokerStatus {
  readonly connectedAgents: number;
  readonly parkedRequests: number;
  readonly openDuties: number;
  readonly adapters: Readonly<Record<string, boolean>>;
}

/** What became of handshakes and frames since the start. */
export type SessionEvents = Readonly<SessionCounters>;

const PAGE = 512;
const SWEEP_LIMIT = 256;

/**
 * The broker without its sockets, files and clocks: sessions in, decisions by the ledger, work out. All state that matters is
 * the ledger's; everything here is rebuilt from it.
 */
export function createBroker(options: BrokerOptions): Broker {
  const { runtime, configuration, bus, ledger } = options;
  const jobs = createAvailableJobs(runtime, configuration.maxParked, createWeights(configuration.queues));
  const verdicts = createVerdicts(runtime.clock);
  const troubles = createTroubles(runtime.clock);
  const seen = createSeenAgents(runtime.clock);
  const evictions = createEvictions({
    ...runtime,
    evict: options.evict,
    isServed: (agent) => agents.isWelcome(agent),
  });
  let cancelSweep: Cancel = () => undefined;
  let stopped = false;

  const links = createAdapterLinks({
    runtime,
    configuration,
    bus,
    onAsk,
    onOpen: (service) => fetching.opened(service),
  });
  const meter = options.meter ?? NO_METER;
  const ask = meteredAsk(links.ask.bind(links), meter, runtime.clock);
  const underWay = createAttemptsUnderWay(ledger);
  const verifier = createVerifier({
    clock: runtime.clock,
    queues: configuration.queues,
    underWay,
    ask,
    isOpen: (service) => links.isOpen(service),
  });
  const answers = createLeaseAnswers({ runtime, configuration, ledger, underWay, ask, troubles });
  const duties = createDuties({
    runtime,
    configuration,
    ledger,
    ask,
    verifier,
    follow,
    registered: (job, attempt) => verdicts.registered(job, attempt),
    troubles,
  });
  const fetching = createFetching({ runtime, configuration, ledger, jobs, ask, follow, troubles });
  const onMessage = createAgentMessages({
    runtime,
    configuration,
    ledger,
    jobs,
    answers,
    verdicts,
    verifier,
    ask,
    follow,
    hunger: () => fetching.look(),
    seen,
  });
  const agents = createAgentSessions({
    runtime,
    configuration,
    ledger,
    onMessage,
    follow,
    onGone: (caller) => jobs.leave(caller),
    onFarewell(agent, owner, code, address) {
      // Its newer start is served.
      if (code !== 'SUPERSEDED') seen.sentAway(agent, owner, code);
      if (endsConnections(code)) evictions.evict(agent, address);
    },
    meter,
    send: (to, frame) => void bus.send(to, frame).catch(() => undefined), // lost: the agent asks again
    ...(options.sessionLimits && { limits: options.sessionLimits }),
  });

  const why = createWhy({
    runtime,
    configuration,
    ledger,
    keeping: ledger,
    jobs,
    troubles,
    seen,
    isConnected: (agent) => agents.isConnected(agent),
    connected: () => agents.connected,
    isOpen: (service) => links.isOpen(service),
  });

  /** What a durable outcome means for the soft state: the pool, the duties, the answers that wait. */
  function follow(outcome: Outcome): void {
    options.onOutcome?.(outcome);
    for (const job of jobsOf(outcome)) followJob(job);
  }

  function followJob(job: JobRow): void {
    if (stopped) return;
    if (job.state === 'queued') {
      offer(job);
      tellReleased(job);
    } else jobs.withdraw(job);
    duties.take(job);
    verdicts.changed(job);
    if (job.state === 'leased') fetching.look();
  }

  /** The framework hears that an attempt ended without a result; advisory, the final state is told until acknowledged. */
  function tellReleased(job: JobRow): void {
    const last = job.attempts.at(-1);
    const queue = configuration.queues.find((entry) => entry.name === job.queue);
    if (last?.state !== 'void' || !last.discard || queue === undefined) return;
    const body = { op: 'released', job: job.id, attempt: last.number, reason: last.reason } as const;
    ask(queue.jobAdapter, withState(job, body)).catch(() => undefined);
  }

  function offer(job: JobRow): void {
    jobs
      .offer(job, () => answers.describe(job.id))
      .catch((caught: unknown) =>
        runtime.log.error({ job: job.id, err: caught }, 'a job could not be offered'),
      );
  }

  async function onAsk(service: string, item: AskItem): Promise<AnswerBody> {
    if (item.op === 'available') {
      fetching.available(item.queue);
      return { result: 'ok' };
    }
    if (item.op === 'kill') return kill(service, item.job, item.reason);
    return { result: 'refused', code: 'UNSUPPORTED', message: `a broker does not answer ${item.op}` };
  }

  /** Only the adapter a job came from may end it. */
  async function kill(service: string, id: string, reason: string): Promise<AnswerBody> {
    const stored = await ledger.job(id);
    const queue = configuration.queues.find((entry) => entry.name === stored?.job.queue);
    if (queue?.jobAdapter !== service)
      return { result: 'refused', code: 'NOT_FOUND', message: 'this adapter has no such job here' };
    await cancel(id, reason);
    return { result: 'ok' };
  }

  async function cancel(id: string, reason: string): Promise<JobRow | undefined> {
    const before = await ledger.job(id);
    const [outcome] = await ledger.apply([{ kind: 'cancel', job: id, reason }]);
    if (outcome === undefined || outcome.kind !== 'changed') return before?.job;
    follow(outcome);
    const holder = before?.job.attempts.find((attempt) => attempt.state === 'live');
    if (holder !== undefined) agents.push(holder.agent, { kind: 'notice', command: 'renew-now' });
    return outcome.job;
  }

  function sweepLater(): void {
    if (stopped) return;
    cancelSweep = runtime.clock.schedule(configuration.sweepMs, () => {
      sweep()
        .catch((caught: unknown) =>
          runtime.log.error({ errorCode: toCoPilotError(caught).code, err: caught }, 'the sweep failed'),
        )
        .finally(sweepLater);
    });
  }

  /** Voids what ran out, page by page, and answers requests that waited long enough. */
  async function sweep(): Promise<void> {
    jobs.expire(runtime.clock.monotonicMs());
    for (;;) {
      const due = await ledger.due(SWEEP_LIMIT);
      if (due.length === 0 || stopped) return;
      const outcomes = await ledger.apply(
        due.map((job) => ({ kind: 'expire', job, limits: configuration.limits })),
      );
      for (const outcome of outcomes) follow(outcome);
      if (outcomes.every((outcome) => outcome.kind === 'unchanged') || due.length < SWEEP_LIMIT) return;
    }
  }

  async function offerQueued(): Promise<void> {
    let after = '';
    for (;;) {
      const page = await ledger.list({ kind: 'queued' }, after, PAGE);
      for (const { job, description } of page)
        await jobs.offer(job, async () => parseDescription(description));
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.job.id;
    }
  }

  const agentNews = createAgentNews({
    ledger,
    agents,
    evict: (agent) => evictions.evict(agent),
    isStopped: () => stopped,
  });
  const news = createNewsReader({
    ...runtime,
    ledger,
    queued: offer,
    concerned: (agent) => agentNews.changed(agent),
    lookAgain: async () => {
      await agentNews.missed();
      await offerQueued();
      await duties.resume();
    },
  });
  ledger.onNews?.((heard) => news.heard(heard));

  bus.onFrame((from, frame) => {
    if (!links.receive(from, frame)) agents.receive(from, frame);
  });
  bus.onConnection((state, door) => links.connection(state, door));
  bus.onGone((address) => {
    links.gone(address);
    agents.gone(address);
  });

  return {
    async start() {
      await offerQueued();
      await duties.resume();
      await bus.start();
      links.connect();
      sweepLater();
    },
    async revoke(agent, reason) {
      const [outcome] = await ledger.apply([{ kind: 'revoke', agent, reason }]);
      if (outcome !== undefined) follow(outcome);
      agents.dismiss(agent, 'REVOKED');
      // It may be on the bus without a session.
      evictions.evict(agent);
    },
    async drain(agent, draining) {
      const [outcome] = await ledger.apply([{ kind: 'drain', agent, draining }]);
      if (outcome?.kind !== 'noted') return undefined;
      if (draining) agents.push(agent, { kind: 'notice', command: 'drain' });
      return outcome.agent;
    },
    presence: (agent) => ({
      connected: agents.isConnected(agent),
      lastHeardMs: agents.lastHeardMs(agent),
    }),
    cancel,
    why,
    status: () => ({
      connectedAgents: agents.connected,
      parkedRequests: jobs.parked,
      openDuties: duties.open,
      adapters: Object.fromEntries(configuration.services.map(({ name }) => [name, links.isOpen(name)])),
    }),
    sessionEvents: () => agents.events,
    async stop() {
      stopped = true;
      evictions.stop();
      news.stop();
      cancelSweep();
      fetching.stop();
      duties.stop();
      verdicts.stop();
      links.stop();
      agents.stop();
      await bus.stop();
      await ledger.close();
    },
  };
}

function jobsOf(outcome: Outcome): readonly JobRow[] {
  if ('job' in outcome) return [outcome.job];
  return 'jobs' in outcome ? outcome.jobs : [];
}
