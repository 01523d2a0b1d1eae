import type { Command, Outcome } from '../core/command.ts';
import type { JobRow, SlotReply } from '../core/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { createHostClasses, type HostClass } from '../matching/host-class.ts';
import type { Waiting } from '../matching/job-heap.ts';
import { fromBase64url } from '../../protocol/encoding.ts';
import { CoPilotError } from '../../protocol/errors.ts';
import type * as types from '../../protocol/generated/types.ts';
import type { AgentMessage } from '../../protocol/messages.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';
import { type Caller, endsSession, farewellCode } from './agent-sessions.ts';
import type { AvailableJobs } from './available-jobs.ts';
import type { BrokerConfiguration } from './configuration.ts';
import { type LeaseAnswers, parseDescription, wantedFiles } from './lease-answer.ts';
import { verdictOf } from './verdict-of.ts';
import type { Verdicts } from './verdicts.ts';

export interface AgentMessagesOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly jobs: AvailableJobs;
  readonly answers: LeaseAnswers;
  readonly verdicts: Verdicts;
  readonly ask: (service: string, body: AskBody) => Promise<AnswerBody>;
  readonly follow: (outcome: Outcome) => void;
  /** An agent waits and nothing here matches it: more jobs are wanted. */
  readonly hunger: () => void;
}

type Turn = Extract<AgentMessage, { readonly slot: number }>;
type LeaseCommand = Extract<Command, { kind: 'lease' }>;

/** What became of looking for a job. */
type Found =
  | { readonly kind: 'leased'; readonly outcome: Extract<Outcome, { kind: 'leased' }> }
  | { readonly kind: 'none' }
  | { readonly kind: 'answered'; readonly outcome: Exclude<Outcome, { kind: 'leased' }> };

const MAX_CANDIDATES = 32;
const BUSY_SECONDS = 5;

/** Answers everything an agent says after the handshake (docs/protocol.md, M). */
export function createAgentMessages(
  options: AgentMessagesOptions,
): (caller: Caller, message: AgentMessage) => Promise<void> {
  const { runtime, configuration, ledger, jobs, answers, verdicts, ask, follow } = options;
  const hostClass = createHostClasses();
  const queues = new Map(configuration.queues.map((queue) => [queue.name, queue]));
  /** Slots with a message being answered: a repeat of it is answered once. */
  const inProgress = new Map<string, number>();

  async function hear(caller: Caller, message: AgentMessage): Promise<void> {
    const key = `${caller.agent} ${message.slot}`;
    // A repeat of what is being answered, or one that a newer message has overtaken on the bus.
    const newest = Math.max(inProgress.get(key) ?? 0, jobs.parkedCounter(key) ?? 0);
    if (inProgress.get(key) === message.counter || newest > message.counter) return;
    inProgress.set(key, message.counter);
    try {
      await dispatch(caller, message);
    } finally {
      if (inProgress.get(key) === message.counter) inProgress.delete(key);
    }
  }

  async function dispatch(caller: Caller, message: AgentMessage): Promise<void> {
    checkSlot(message);
    switch (message.kind) {
      case 'request':
        return onRequest(caller, message);
      case 'renew':
        return onRenew(caller, message);
      case 'outputs':
        return onOutputs(caller, message);
      case 'report':
        return onReport(caller, message);
      case 'release':
        return onRelease(caller, message);
      case 'call':
      case 'parts':
        throw new CoPilotError('UNSUPPORTED', `this broker does not serve ${message.kind}`);
    }
  }

  async function onRequest(caller: Caller, message: types.Request): Promise<void> {
    const key = slotKey(caller, message);
    jobs.unpark(key);
    const host = classOf(message.ad);
    if (message.seen.length > 0)
      await ledger.apply([{ kind: 'seen', agent: caller.agent, seen: message.seen }]);
    await serve(caller, message, host, runtime.clock.monotonicMs() + configuration.parkMs);
  }

  /** Answers a request now if there is work, or when there is, or that there is none. */
  async function serve(
    caller: Caller,
    message: types.Request,
    host: HostClass,
    expiresMs: number,
  ): Promise<void> {
    const found = await findJob(caller, message, host, []);
    switch (found.kind) {
      case 'leased':
        return answerJob(caller, message, found.outcome);
      case 'answered':
        return answerOutcome(caller, message, found.outcome);
      case 'none':
        park(caller, message, host, expiresMs);
    }
  }

  function park(caller: Caller, message: types.Request, host: HostClass, expiresMs: number): void {
    const none = (reason: types.NoWork['reason'], retryAfterSeconds: number): void => {
      caller.send({
        kind: 'none',
        slot: message.slot,
        counter: message.counter,
        none: { reason, retryAfterSeconds },
        verdicts: [],
      });
    };
    if (runtime.clock.monotonicMs() >= expiresMs) return none('no-work', 0);
    const isParked = jobs.park({
      key: slotKey(caller, message),
      counter: message.counter,
      host,
      expiresMs,
      wake: () =>
        void serve(caller, message, host, expiresMs).catch((caught: unknown) =>
          fault(caller, message, caught),
        ),
      expire: () => none('no-work', 0),
    });
    if (isParked) options.hunger();
    else none('busy', BUSY_SECONDS);
  }

  function fault(caller: Caller, message: Turn, caught: unknown): void {
    runtime.log.error({ agent: caller.agent, err: caught }, 'a parked request failed');
    caller.send({
      kind: 'none',
      slot: message.slot,
      counter: message.counter,
      none: { reason: 'busy', retryAfterSeconds: BUSY_SECONDS },
      verdicts: [],
    });
  }

  /**
   * Takes candidates until the ledger leases one. `before` are commands of the same message: they share the first group, so
   * that a report and the next lease cost one sync.
   */
  async function findJob(
    caller: Caller,
    turn: Turn,
    host: HostClass,
    before: readonly Command[],
    onBefore?: (outcomes: readonly Outcome[]) => void,
  ): Promise<Found> {
    let pending = before;
    for (let tries = 0; tries < MAX_CANDIDATES; tries += 1) {
      const candidate = jobs.take(host);
      const lease = leaseCommand(caller, turn, candidate);
      // Without a candidate the ledger still says whether this is a repeat, or may not ask.
      const outcomes = await applyOrPutBack([...pending, lease], candidate);
      onBefore?.(outcomes.slice(0, pending.length));
      pending = [];
      const outcome = outcomes.at(-1);
      if (outcome === undefined || outcome.kind === 'unchanged') return { kind: 'none' };
      if (outcome.kind === 'leased') return leased(outcome);
      const isGone =
        outcome.kind === 'refused' && (outcome.code === 'NOT_QUEUED' || outcome.code === 'NOT_FOUND');
      if (isGone && candidate !== undefined) continue;
      if (candidate !== undefined) jobs.putBack(candidate);
      return { kind: 'answered', outcome };
    }
    return { kind: 'none' };
  }

  function leased(outcome: Extract<Outcome, { kind: 'leased' }>): Found {
    follow(outcome);
    return { kind: 'leased', outcome };
  }

  async function applyOrPutBack(
    commands: readonly Command[],
    candidate: Waiting | undefined,
  ): Promise<readonly Outcome[]> {
    try {
      return await ledger.apply(commands);
    } catch (caught) {
      if (candidate !== undefined) jobs.putBack(candidate);
      throw caught;
    }
  }

  function leaseCommand(caller: Caller, turn: Turn, candidate: Waiting | undefined): LeaseCommand {
    const terms = queues.get(candidate?.queue ?? '') ?? { leaseMs: 0, firstRenewMs: 0 };
    return {
      kind: 'lease',
      agent: caller.agent,
      start: caller.start,
      slot: turn.slot,
      counter: turn.counter,
      job: candidate?.job ?? '',
      terms: { leaseMs: terms.leaseMs, firstRenewMs: terms.firstRenewMs },
      limits: configuration.limits,
      seen: [],
    };
  }

  async function answerJob(
    caller: Caller,
    message: types.Request,
    outcome: Extract<Outcome, { kind: 'leased' }>,
  ): Promise<void> {
    const lease = await begin(caller, outcome);
    caller.send({
      kind: 'job',
      slot: message.slot,
      counter: message.counter,
      lease,
      verdicts: outcome.agent.verdicts,
    });
  }

  /** The lease as it travels; the framework hears that an attempt began, once and without waiting. */
  async function begin(
    caller: Caller,
    { job, attempt, description }: Extract<Outcome, { kind: 'leased' }>,
  ): Promise<types.Lease> {
    tell(job, { op: 'started', job: job.id, attempt, agent: caller.agent });
    return answers.lease(caller, job, attempt, parseDescription(description));
  }

  /** Advisory word to the job adapter: lost ones are made good by the final state. */
  function tell(job: JobRow, body: AskBody): void {
    const queue = queues.get(job.queue);
    if (queue !== undefined) ask(queue.jobAdapter, body).catch(() => undefined);
  }

  async function answerOutcome(caller: Caller, turn: Turn, outcome: Outcome): Promise<void> {
    if (outcome.kind === 'repeat') return answerRepeat(caller, turn, outcome.reply, outcome.agent.verdicts);
    if (outcome.kind !== 'refused') throw new Error(`a ${turn.kind} had the outcome ${outcome.kind}`);
    if (endsSession(outcome.code)) {
      caller.dismiss(farewellCode(outcome.code));
      return;
    }
    const retryAfterSeconds = outcome.retryAfterMs / 1000;
    switch (outcome.code) {
      case 'COOLING_DOWN':
        return sendNone(caller, turn, { reason: 'cooling-down', retryAfterSeconds });
      case 'TOO_MANY_ATTEMPTS':
        return sendNone(caller, turn, { reason: 'too-many-attempts', retryAfterSeconds: BUSY_SECONDS });
      case 'STALE_COUNTER':
        throw new CoPilotError('STALE_COUNTER', 'the slot has taken a higher counter');
      default:
        throw new CoPilotError(
          'ATTEMPT_NOT_LIVE',
          'the attempt is not held by this agent, or not live any more',
        );
    }
  }

  async function sendNone(caller: Caller, turn: Turn, none: types.NoWork): Promise<void> {
    const stored = await ledger.agent(caller.agent);
    caller.send({
      kind: 'none',
      slot: turn.slot,
      counter: turn.counter,
      none,
      verdicts: stored?.verdicts ?? [],
    });
  }

  /** The same message again gets the same answer, capabilities minted afresh; a verdict may be further on by now. */
  async function answerRepeat(
    caller: Caller,
    turn: Turn,
    reply: SlotReply,
    pending: types.Verdicts,
  ): Promise<void> {
    const { slot, counter } = turn;
    const { job, attempt } = reply;
    switch (reply.kind) {
      case 'released':
        caller.send({ kind: 'released', slot, counter, job, attempt, verdicts: pending });
        return;
      case 'leased': {
        const lease = await answers.leaseAgain(caller, job, attempt);
        if (turn.kind === 'report') return answerReported(caller, turn, lease ?? NO_WORK, pending);
        if (lease === undefined)
          throw new CoPilotError('ATTEMPT_NOT_LIVE', 'the attempt this message was answered with has ended');
        caller.send({ kind: 'job', slot, counter, lease, verdicts: pending });
        return;
      }
      case 'reported': {
        const next = reply.next && (await answers.leaseAgain(caller, reply.next.job, reply.next.attempt));
        return answerReported(caller, { slot, counter, job, attempt }, next ?? NO_WORK, pending);
      }
    }
  }

  /** What a report was answered with, as far as its attempt is by now. */
  async function answerReported(
    caller: Caller,
    turn: Pick<types.Report, 'slot' | 'counter' | 'job' | 'attempt'>,
    next: types.Lease | types.NoWork,
    pending: types.Verdicts,
  ): Promise<void> {
    const { slot, counter, job, attempt } = turn;
    const stored = await ledger.job(job);
    const said = verdictOf(stored?.job, attempt);
    caller.send({ kind: 'reported', slot, counter, job, attempt, ...said, next, verdicts: pending });
  }

  async function onRenew(caller: Caller, message: types.Renew): Promise<void> {
    const { agent, start } = caller;
    const renewals = message.leases.map(
      (lease): Command => ({
        kind: 'renew',
        agent,
        start,
        job: lease.job,
        attempt: lease.attempt,
        progress: lease.progress,
        usage: lease.usage ?? null,
        logTail: lease.logTail ?? '',
      }),
    );
    const outcomes = await ledger.apply([...renewals, { kind: 'seen', agent, seen: message.seen }]);
    const last = outcomes.find((outcome) => outcome.kind === 'refused' && endsSession(outcome.code));
    if (last?.kind === 'refused') {
      caller.dismiss(farewellCode(last.code));
      return;
    }
    for (const [index, { job: id, attempt, progress }] of message.leases.entries()) {
      const outcome = outcomes[index];
      if (outcome?.kind === 'renewed' && outcome.order === 'continue')
        tell(outcome.job, { op: 'renewed', job: id, attempt, progress });
    }
    const leases = message.leases.map(({ job, attempt }, index) => ({
      job,
      attempt,
      ...orderOf(outcomes[index]),
    }));
    const noted = outcomes.at(-1);
    const pending =
      noted?.kind === 'noted' ? noted.agent.verdicts : ((await ledger.agent(agent))?.verdicts ?? []);
    caller.send({ kind: 'renewed', slot: message.slot, counter: message.counter, leases, verdicts: pending });
  }

  async function onOutputs(caller: Caller, message: types.Outputs): Promise<void> {
    const { slot, counter, job, attempt } = message;
    const stored = await ledger.job(job);
    const held = stored?.job.attempts.find((entry) => entry.number === attempt);
    if (stored === undefined || held?.agent !== caller.agent || held.state !== 'live')
      throw new CoPilotError(
        'ATTEMPT_NOT_LIVE',
        'the attempt is not held by this agent, or not live any more',
      );
    const wanted = wantedFiles(parseDescription(stored.description), message.verb, message.files);
    const capabilities = await answers.mint(caller, stored.job, attempt, wanted);
    caller.send({ kind: 'capabilities', slot, counter, job, attempt, capabilities, verdicts: [] });
  }

  async function onReport(caller: Caller, message: types.Report): Promise<void> {
    checkEvidence(caller, message);
    const report = reportCommand(caller, message);
    const host = message.next && classOf(message.next);
    let outcome: Outcome | undefined;
    const take = (outcomes: readonly Outcome[]): void => {
      outcome ??= outcomes[0];
      if (outcomes[0] !== undefined) follow(outcomes[0]);
    };
    // One group for both: the ledger sees the report first, then the same message's wish for the next job.
    const found = host === undefined ? undefined : await findJob(caller, message, host, [report], take);
    if (found === undefined) take(await ledger.apply([report]));
    if (outcome?.kind !== 'reported') return answerOutcome(caller, message, outcome ?? { kind: 'unchanged' });
    const [next, said] = await Promise.all([
      found?.kind === 'leased' ? begin(caller, found.outcome) : noNext(found),
      verdicts.settled(outcome.job, message.attempt, configuration.verdictWaitMs),
    ]);
    const { slot, counter, job, attempt } = message;
    const pending = outcome.agent.verdicts.filter(
      (verdict) => verdict.job !== job || verdict.attempt !== attempt,
    );
    caller.send({
      kind: 'reported',
      slot,
      counter,
      job,
      attempt,
      ...said,
      ...(next && { next }),
      verdicts: pending,
    });
  }

  /** Whoever asked for the next job and got none hears when to ask again. */
  function noNext(found: Found | undefined): types.NoWork | undefined {
    if (found === undefined) return undefined;
    const outcome = found.kind === 'answered' ? found.outcome : undefined;
    if (outcome?.kind === 'refused' && outcome.code === 'COOLING_DOWN')
      return { reason: 'cooling-down', retryAfterSeconds: outcome.retryAfterMs / 1000 };
    if (outcome?.kind === 'refused' && outcome.code === 'TOO_MANY_ATTEMPTS')
      return { reason: 'too-many-attempts', retryAfterSeconds: BUSY_SECONDS };
    return NO_WORK;
  }

  function checkEvidence(caller: Caller, message: types.Report): void {
    const evidence = reportEvidence(configuration.installation, caller.agent, message);
    const signature = fromBase64url(message.signature);
    if (signature === undefined || !runtime.crypto.verify(caller.signingKey, evidence, signature))
      throw new CoPilotError(
        'BAD_SIGNATURE',
        'the report is not signed by the key of the identity over what it says',
      );
  }

  function reportCommand(caller: Caller, message: types.Report): Command {
    const { slot, counter, job, attempt, exit, manifest, usage, logTail, signature, seen } = message;
    const { agent, start } = caller;
    const limits = configuration.limits;
    return {
      kind: 'report',
      agent,
      start,
      slot,
      counter,
      job,
      attempt,
      exit,
      manifest,
      usage,
      logTail,
      signature,
      limits,
      seen,
    };
  }

  async function onRelease(caller: Caller, message: types.Release): Promise<void> {
    const { slot, counter, job, attempt, reason } = message;
    const { agent, start } = caller;
    const [outcome] = await ledger.apply([
      { kind: 'release', agent, start, slot, counter, job, attempt, reason },
    ]);
    if (outcome?.kind !== 'released') return answerOutcome(caller, message, outcome ?? { kind: 'unchanged' });
    follow(outcome);
    caller.send({ kind: 'released', slot, counter, job, attempt, verdicts: outcome.agent.verdicts });
  }

  /** Throws `MALFORMED_MESSAGE` for an ad that names an attribute twice. */
  function classOf(ad: types.HostAd): HostClass {
    try {
      return hostClass(ad);
    } catch (cause) {
      throw new CoPilotError('MALFORMED_MESSAGE', 'the host ad is no ad of literals', { cause });
    }
  }

  return hear;
}

const NO_WORK: types.NoWork = { reason: 'no-work', retryAfterSeconds: 0 };

function slotKey(caller: Caller, turn: { readonly slot: number }): string {
  return `${caller.agent} ${turn.slot}`;
}

/** Slot 0 renews, the others do everything else: so that a renewal never waits behind a parked request. */
function checkSlot(message: AgentMessage): void {
  if ((message.slot === 0) === (message.kind === 'renew')) return;
  throw new CoPilotError('MALFORMED_MESSAGE', 'slot 0 is for renew, and renew for slot 0');
}

function orderOf(outcome: Outcome | undefined): {
  readonly order: 'continue' | 'cancel' | 'drain';
  readonly leaseSeconds: number;
} {
  return outcome?.kind === 'renewed'
    ? { order: outcome.order, leaseSeconds: outcome.leaseMs / 1000 }
    : { order: 'cancel', leaseSeconds: 0 };
}
