import { newId } from '../../protocol/encoding.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import type {
  Attempt,
  HostAd,
  Job,
  Verdicts as VerdictList,
  VerdictItem,
  Welcome,
} from '../../protocol/generated/types.ts';
import type { Cancel, PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { NO_ENVIRONMENT } from '../environment/job-environment.ts';
import type { JobEnvironment } from '../environment/job-environment.ts';
import type { Launcher } from '../executors/launcher.ts';
import type { PilotHost } from '../pilot/pilot-host.ts';
import type { Journal, Store } from '../store/store.ts';
import { attemptKey } from '../store/store.ts';
import type { Transfers } from '../transfers/transfers.ts';
import { release } from './attempt.ts';
import type { Work } from './attempt.ts';
import type { Context, JobSurroundings } from './context.ts';
import type { AgentEvent, AttemptEnd } from './events.ts';
import { Link } from './link.ts';
import { Renewals } from './renewals.ts';
import { runSlot } from './slot.ts';
import { isFinal, Verdicts } from './verdicts.ts';

/** How the world is reached: everything an agent touches. */
export interface AgentPorts {
  readonly runtime: Runtime;
  readonly bus: Bus;
  readonly launcher: Launcher;
  readonly transfers: Transfers;
  readonly store: Store;
  /** What the machine offers now. */
  readonly hostAd: () => HostAd;
  /** Serves jobs in pilot mode; without it they are refused. */
  readonly pilot?: PilotHost;
  /** What the site gives its jobs; nothing where it is left out. */
  readonly environment?: JobEnvironment;
}

export interface AgentOptions {
  readonly keys: { readonly session: PrivateKey; readonly signing: PrivateKey };
  readonly installation: string;
  /** The installation's Ed25519 key, pinned at enrolment. */
  readonly certifier: PublicKey;
  /** Those that are believed now, where that is more than one or may change. */
  readonly certifiers?: () => readonly PublicKey[];
  readonly identity: () => string;
  /** Called where the broker says the identity has ended. A rejection with `REVOKED` or `ENROLMENT_REFUSED` ends the agent. */
  readonly renewIdentity: () => Promise<void>;
  /** Jobs at once, 1 to 63; the broker may serve fewer. */
  readonly slots: number;
  readonly surroundings: JobSurroundings;
  /** Default 16 attempts. */
  readonly maxUnresolved?: number;
  /** Default 4 GiB. */
  readonly maxUnresolvedBytes?: number;
  readonly onEvent?: (event: AgentEvent) => void;
  /** A session is there, with a broker of the installation. */
  readonly onSession?: () => void;
}

/** Why an agent ended. */
export type AgentEnd =
  /** `unfit`: why this host was not to take jobs any more, where that was the reason. */
  | { readonly kind: 'drained'; readonly unfit?: string }
  /** The broker will not serve this start (any more). */
  | { readonly kind: 'dismissed'; readonly code: string; readonly message: string };

export interface Agent {
  /** Reads the journal and connects; slots begin with the first welcome. Rejects where the journal cannot be read. */
  start(): Promise<void>;
  /** No new work from now on; running jobs have `graceMs`, then they are given back. Again: the shorter grace counts. */
  drain(graceMs: number): void;
  /** A new identity is there: sessions are made with it from now on. */
  identityRenewed(): void;
  /** The installation has sent it away by another way than a session. */
  dismiss(code: string, message: string): void;
  /** Resolves when everything has stopped. */
  readonly ended: Promise<AgentEnd>;
}

const MAX_UNRESOLVED = 16;
const MAX_UNRESOLVED_BYTES = 4 * 1024 ** 3;
/** After the grace of a drain: for releases and reports on their way. */
const FAREWELL_MS = 10_000;
const FIRST_SLOT = 1;

export function createAgent(ports: AgentPorts, options: AgentOptions): Agent {
  return new RunningAgent(ports, options);
}

class RunningAgent implements Agent {
  readonly ended: Promise<AgentEnd>;
  readonly #ports: AgentPorts;
  readonly #options: AgentOptions;
  readonly #context: Context;
  readonly #draining = new AbortController();
  readonly #closing = new AbortController();
  readonly #end: (end: AgentEnd) => void;
  readonly #counts = { committed: 0, refused: 0, lost: 0 };
  #journal: Journal = { entries: [], corrupt: [] };
  #agentId = '';
  #isSettled = false;
  #isEnding = false;
  #whyUnfit: string | undefined;
  #working: Promise<unknown> = Promise.resolve();
  readonly #timers: Cancel[] = [];

  constructor(ports: AgentPorts, options: AgentOptions) {
    const { promise, resolve } = Promise.withResolvers<AgentEnd>();
    this.ended = promise;
    this.#end = resolve;
    this.#ports = ports;
    this.#options = options;
    this.#context = this.#createContext();
  }

  async start(): Promise<void> {
    const { store, bus } = this.#ports;
    this.#journal = await store.load();
    this.#emit({ kind: 'link', state: 'connecting' });
    if (this.#isEnding) return;
    try {
      await bus.start();
    } catch (caught) {
      // Told to end while the bus was still looking for the broker.
      if (this.#closing.signal.aborted) return;
      throw caught;
    }
    this.#context.link.begin();
  }

  dismiss(code: string, message: string): void {
    void this.#finish({ kind: 'dismissed', code, message });
  }

  drain(graceMs: number): void {
    if (!this.#draining.signal.aborted) {
      this.#draining.abort();
      this.#emit({
        kind: 'draining',
        ...(this.#whyUnfit !== undefined && { reason: this.#whyUnfit }),
      });
    }
    if (!this.#isSettled) void this.#finish(this.#drained);
    if (graceMs === Number.POSITIVE_INFINITY || this.#isEnding) return;
    const { clock } = this.#ports.runtime;
    this.#timers.push(
      clock.schedule(graceMs, () => this.#giveBack()),
      clock.schedule(graceMs + FAREWELL_MS, () => void this.#finish(this.#drained)),
    );
  }

  identityRenewed(): void {
    this.#context.link.identityRenewed();
  }

  /** Jobs of other slots go on to their end. */
  #unfit(reason: string): void {
    this.#whyUnfit ??= reason;
    this.drain(Number.POSITIVE_INFINITY);
  }

  get #drained(): AgentEnd {
    return { kind: 'drained', ...(this.#whyUnfit !== undefined && { unfit: this.#whyUnfit }) };
  }

  #giveBack(): void {
    for (const holding of this.#context.renewals.holdings) holding.stop('drain');
  }

  #emit(event: AgentEvent): void {
    this.#options.onEvent?.(event);
  }

  #createContext(): Context {
    const { runtime, launcher, transfers, store, hostAd, pilot, environment } = this.#ports;
    const { keys, installation, surroundings } = this.#options;
    const verdicts = new Verdicts({
      maxUnresolved: this.#options.maxUnresolved ?? MAX_UNRESOLVED,
      maxUnresolvedBytes: this.#options.maxUnresolvedBytes ?? MAX_UNRESOLVED_BYTES,
      onFinal: (item) => this.#resolve(item),
    });
    const link = this.#createLink(verdicts);
    const renewals = new Renewals({
      clock: runtime.clock,
      random: runtime.random,
      log: runtime.log,
      verdicts,
      renew: (body, withinMs) => link.renew(body, withinMs, this.#closing.signal),
      onDrain: () => this.drain(Number.POSITIVE_INFINITY),
    });
    return {
      runtime,
      launcher,
      transfers,
      store,
      hostAd,
      link,
      renewals,
      verdicts,
      surroundings,
      environment: environment ?? NO_ENVIRONMENT,
      pilot,
      installation,
      signingKey: keys.signing,
      agentId: () => this.#agentId,
      emit: (event) => this.#emit(event),
      ended: (attempt, end, reason) => this.#count(attempt, end, reason),
      unfit: (reason) => this.#unfit(reason),
      draining: this.#draining.signal,
      closing: this.#closing.signal,
    };
  }

  #createLink(verdicts: Verdicts): Link {
    const { runtime, bus } = this.#ports;
    const { keys, installation, certifier, certifiers, identity } = this.#options;
    return new Link({
      runtime,
      bus,
      sessionKey: keys.session,
      installation,
      certifier,
      ...(certifiers && { certifiers }),
      start: newId(runtime.random),
      identity,
      renewIdentity: () => this.#renewIdentity(),
      onWelcome: (welcome) => {
        this.#options.onSession?.();
        this.#onWelcome(welcome);
      },
      onVerdicts: (items: VerdictList) => verdicts.note(items),
      onNotice: (command) => {
        if (command === 'drain') this.drain(Number.POSITIVE_INFINITY);
        else this.#context.renewals.renewNow();
      },
      onFarewell: (code, message) => void this.#finish({ kind: 'dismissed', code, message }),
      onStray: (job) => void this.#onStray(job),
      onState: (state) => this.#emit({ kind: 'link', state }),
    });
  }

  async #renewIdentity(): Promise<void> {
    try {
      await this.#options.renewIdentity();
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      if (code === 'REVOKED' || code === 'ENROLMENT_REFUSED')
        void this.#finish({ kind: 'dismissed', code, message });
      throw caught;
    }
  }

  /** The first welcome decides what becomes of the journal; later ones only hasten the next renewal. */
  #onWelcome(welcome: Welcome): void {
    this.#agentId = welcome.agent;
    if (this.#isSettled) {
      this.#context.renewals.renewAnything();
      return;
    }
    this.#isSettled = true;
    this.#working = this.#work(welcome);
    void this.#working.then(() => this.#finish(this.#drained));
  }

  async #work(welcome: Welcome): Promise<void> {
    try {
      const kept = this.#takeUp(welcome);
      await this.#clearUp(welcome);
      const slots = Math.min(this.#options.slots, this.#context.link.maxSlots);
      await Promise.all(
        Array.from({ length: slots }, (_, index) => runSlot(this.#context, FIRST_SLOT + index, kept)),
      );
    } catch (error) {
      this.#ports.runtime.log.error({ error }, 'the agent failed and ends');
    }
  }

  /** Attempts of an earlier start that still mean something: they are renewed from now on, whenever their turn comes. */
  #takeUp(welcome: Welcome): Work[] {
    const live = new Set(welcome.held.map(attemptKey));
    const decided = new Set(welcome.verdicts.filter(isFinal).map(attemptKey));
    this.#journal = withoutDecided(this.#journal, decided);
    const kept: Work[] = [];
    for (const entry of this.#journal.entries) {
      const isLive = live.has(attemptKey(entry.lease));
      if (entry.phase === 'leased' && !isLive) continue;
      const holding = this.#context.renewals.hold(entry.lease, true);
      holding.live = isLive;
      kept.push(
        entry.phase === 'leased'
          ? { kind: 'interrupted', holding }
          : { kind: 'ended', holding, ending: entry.ending, isLive },
      );
    }
    return kept;
  }

  /** What the broker counts as ours and we know nothing of is given back; what we have and it does not is removed. */
  async #clearUp(welcome: Welcome): Promise<void> {
    const { renewals } = this.#context;
    for (const attempt of welcome.held) {
      if (renewals.find(attempt) === undefined) await release(this.#context, FIRST_SLOT, attempt, 'lost');
    }
    for (const { lease } of this.#journal.entries) {
      if (renewals.find(lease) !== undefined) continue;
      await this.#remove(lease);
      this.#count(lease, 'lost', 'its lease ended while the agent was away');
    }
    for (const attempt of this.#journal.corrupt) await this.#remove(attempt);
  }

  async #remove(attempt: Attempt): Promise<void> {
    try {
      await this.#ports.store.remove(attempt);
    } catch (error) {
      this.#ports.runtime.log.warn(
        { job: attempt.job, error },
        'the files of an attempt could not be removed',
      );
    }
  }

  /** A final verdict: nothing of the attempt is needed any more. */
  async #resolve(item: VerdictItem): Promise<void> {
    const isOurs = this.#context.verdicts.isExpected(item);
    const holding = this.#context.renewals.find(item);
    if (holding?.live === true) {
      // Decided while it runs: whoever runs it removes its files.
      holding.stop('void');
      return;
    }
    await this.#remove(item);
    if (isOurs) this.#count(item, item.verdict === 'committed' ? 'committed' : 'refused', item.reason);
  }

  #count(attempt: Attempt, end: AttemptEnd, reason: string): void {
    if (end === 'committed') this.#counts.committed += 1;
    if (end === 'refused') this.#counts.refused += 1;
    if (end === 'lost') this.#counts.lost += 1;
    const { job, attempt: number } = attempt;
    const unresolved = this.#context.verdicts.unresolved;
    this.#emit({
      kind: 'attempt',
      job,
      attempt: number,
      end,
      reason,
      counts: { ...this.#counts, unresolved },
    });
  }

  /** A request that was given up at the start of a drain may still be answered: nobody will work on it. */
  async #onStray({ slot, lease }: Job): Promise<void> {
    const { renewals, verdicts, link } = this.#context;
    const isKnown = renewals.find(lease) !== undefined || verdicts.isExpected(lease);
    if (isKnown || !this.#draining.signal.aborted || link.isBusy(slot)) return;
    await release(this.#context, slot, lease, 'drain');
  }

  /** Stops jobs, gives up what is open, lets go of the bus. The journal stays. */
  async #finish(end: AgentEnd): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#draining.abort();
    this.#closing.abort();
    for (const holding of this.#context.renewals.holdings) holding.stop('closing');
    for (const cancel of this.#timers) cancel();
    this.#context.renewals.close();
    this.#context.link.close();
    await this.#jobsToEnd();
    try {
      await this.#ports.bus.stop();
    } catch (error) {
      this.#ports.runtime.log.warn({ error }, 'the bus did not stop cleanly');
    }
    this.#end(end);
  }

  /** Killed jobs are awaited, so that nothing of them is left behind; but not for ever. */
  #jobsToEnd(): Promise<unknown> {
    return new Promise((resolve) => {
      const cancel = this.#ports.runtime.clock.schedule(FAREWELL_MS, () => resolve(undefined));
      void this.#working.then(() => {
        cancel();
        resolve(undefined);
      });
    });
  }
}

function withoutDecided(journal: Journal, decided: ReadonlySet<string>): Journal {
  return { ...journal, entries: journal.entries.filter(({ lease }) => !decided.has(attemptKey(lease))) };
}
