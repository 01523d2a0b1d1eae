import { setTimeout } from 'node:timers/promises';
import type { Bus } from '../../protocol/bindings/bus.ts';
import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import { base64url, bytesOf, fromHex, hex, newId } from '../../protocol/encoding.ts';
import type { AgentHello, HostAd, Lease, Report } from '../../protocol/generated/types.ts';
import { isBrokerHello } from '../../protocol/generated/validators.js';
import {
  type AgentMessage,
  type BrokerMessage,
  decodeAs,
  decodeBrokerMessage,
  encodeMessage,
} from '../../protocol/messages.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { createInitiator, type Initiator } from '../../protocol/session/initiator.ts';
import { type enrolAgent, HOST_AD, IDLE_AD, INSTALLATION } from './stage.ts';

type Enrolled = ReturnType<typeof enrolAgent>;

const SHA256 = '0123456789abcdef'.repeat(4);
const LOG_TAIL = 'generated 5000 events\nwrote events.dat\n';
const USAGE = { wallSeconds: 12.5, cpuSeconds: 11.75, memoryMiB: 96.5, diskMiB: 0.25 };

const MAX_SEEN = 64;
/** Where what is said of the whole session is heard; slots of jobs begin with 1. */
const NO_SLOT = 0;

/** What one slot has asked and waits for. */
interface Slot {
  counter: number;
  hear(message: BrokerMessage): void;
}

/** An agent whose jobs take no time: its session, its counters and its signatures are real, its files never travel. */
export class BenchAgent {
  readonly #runtime: Runtime;
  readonly #enrolled: Enrolled;
  readonly #bus: Bus;
  readonly #initiator: Initiator;
  readonly #slots = new Map<number, Slot>();
  readonly #seen: Report['seen'][number][] = [];

  constructor(runtime: Runtime, enrolled: Enrolled, bus: Bus) {
    this.#runtime = runtime;
    this.#enrolled = enrolled;
    this.#bus = bus;
    this.#initiator = this.#createInitiator(newId(runtime.random));
    this.#bus.onFrame((_from, frame) => this.#initiator.receive(frame));
  }

  /** Resolves with the welcome. */
  async connect(): Promise<void> {
    const welcomed = this.#next(NO_SLOT, 'welcome');
    await this.#bus.start();
    this.#initiator.connect();
    await welcomed;
  }

  async stop(): Promise<void> {
    this.#initiator.close();
    await this.#bus.stop();
  }

  /**
   * Takes and reports jobs in one slot until then; tells how long each report waited for its verdict. With `asksAhead` a report asks for
   * the next job, as agents do; without, there is never more than one job under way.
   */
  async run(
    untilMs: number,
    asksAhead: boolean,
    onCommitted: (latencyMs: number) => void,
    slot = 1,
  ): Promise<void> {
    let lease = await this.#request(slot);
    for (;;) {
      const isLast = performance.now() >= untilMs;
      const report = this.#reportOf(slot, lease, asksAhead && !isLast);
      const sentMs = performance.now();
      this.#say(report);
      const answer = await this.#next(slot, 'reported');
      // A verdict that is late, where the machine stood still, shows in how long its report waited.
      if (answer.verdict !== 'committed' && answer.verdict !== 'verifying')
        throw new Error(`a report was answered ${JSON.stringify(answer)}`);
      onCommitted(performance.now() - sentMs);
      this.#seen.push({ job: lease.job, attempt: lease.attempt });
      if (isLast) return;
      lease = answer.next !== undefined && 'job' in answer.next ? answer.next : await this.#request(slot);
    }
  }

  /** Takes and reports jobs in one slot until there is none for it; answers how many. */
  async workOff(slot: number): Promise<number> {
    for (let done = 0; ; done += 1) {
      const lease = await this.#leaseIfAny(slot);
      if (lease === undefined) return done;
      this.#say(this.#reportOf(slot, lease, false));
      const { verdict } = await this.#next(slot, 'reported');
      if (verdict !== 'committed' && verdict !== 'verifying')
        throw new Error(`a report was answered ${verdict}`);
      this.#seen.push({ job: lease.job, attempt: lease.attempt });
    }
  }

  /** Waits for work it will never get, asking again as it is told, until it serves. */
  park(): void {
    this.#ask(1, IDLE_AD);
    this.#next(1, 'none').then(
      () => this.park(),
      () => undefined, // what else comes is heard by whoever asks next
    );
  }

  /** One job, whose lease takes the parked request's place; resolves with when the lease came, once the job is committed. */
  async serve(): Promise<number> {
    const lease = await this.#request(1);
    const leasedMs = performance.now();
    this.#say(this.#reportOf(1, lease, false));
    const { verdict } = await this.#next(1, 'reported');
    if (verdict !== 'committed') throw new Error(`a report was answered ${verdict}`);
    this.#seen.push({ job: lease.job, attempt: lease.attempt });
    return leasedMs;
  }

  async #request(slot: number): Promise<Lease> {
    const lease = await this.#leaseIfAny(slot);
    if (lease === undefined) throw new Error('there is no work');
    return lease;
  }

  /** Undefined where there is no work; who has too much in hand asks again when it is told to. */
  async #leaseIfAny(slot: number): Promise<Lease | undefined> {
    for (;;) {
      this.#ask(slot, HOST_AD);
      const answer = await this.#answer(slot);
      if (answer.kind === 'job') return answer.lease;
      if (answer.kind !== 'none') throw new Error(`a request was answered ${JSON.stringify(answer)}`);
      if (answer.none.reason !== 'too-many-attempts') return undefined;
      this.#seen.push(...answer.verdicts.map(({ job, attempt }) => ({ job, attempt })));
      await setTimeout(answer.none.retryAfterSeconds * 1000);
    }
  }

  #ask(slot: number, ad: HostAd): void {
    this.#say({ kind: 'request', slot, counter: this.#count(slot), ad, seen: this.#takeSeen() });
  }

  /** As a real agent: what an answer has told is named as seen by the next message. */
  #takeSeen(): Report['seen'] {
    return this.#seen.splice(0, MAX_SEEN);
  }

  #slot(number: number): Slot {
    const slot = this.#slots.get(number) ?? { counter: 0, hear: () => undefined };
    this.#slots.set(number, slot);
    return slot;
  }

  #count(slot: number): number {
    return ++this.#slot(slot).counter;
  }

  #reportOf(slot: number, { job, attempt }: Lease, asksAhead: boolean): Report {
    const exit = { kind: 'exited', code: 0 } as const;
    const manifest = [{ name: 'events.dat', size: 1000, sha256: SHA256 }];
    const evidence = reportEvidence(INSTALLATION, this.#enrolled.agent, { job, attempt, exit, manifest });
    const signature = base64url(this.#runtime.crypto.sign(this.#enrolled.signing, evidence));
    return {
      kind: 'report',
      slot,
      counter: this.#count(slot),
      job,
      attempt,
      exit,
      manifest,
      usage: USAGE,
      logTail: LOG_TAIL,
      signature,
      seen: this.#takeSeen(),
      ...(asksAhead && { next: HOST_AD }),
    };
  }

  #say(message: AgentMessage): void {
    if (!this.#initiator.send(encodeMessage(message))) throw new Error('there is no session');
  }

  /** The answer to what the slot asked last. */
  #answer(number: number): Promise<BrokerMessage> {
    const slot = this.#slot(number);
    return new Promise((resolve) => {
      slot.hear = (message) => {
        if (message.kind === 'notice') return;
        // To a request that a newer one has overtaken.
        if ('counter' in message && message.counter < slot.counter) return;
        resolve(message);
      };
    });
  }

  async #next<K extends BrokerMessage['kind']>(
    slot: number,
    kind: K,
  ): Promise<Extract<BrokerMessage, { readonly kind: K }>> {
    const is = (message: BrokerMessage): message is Extract<BrokerMessage, { readonly kind: K }> =>
      message.kind === kind;
    const message = await this.#answer(slot);
    if (is(message)) return message;
    throw new Error(`instead of ${kind} came ${JSON.stringify(message)}`);
  }

  /** What is said of the whole session is for every slot that waits. */
  #heard(message: BrokerMessage): void {
    if ('slot' in message) this.#slot(message.slot).hear(message);
    else for (const slot of this.#slots.values()) slot.hear(message);
  }

  #createInitiator(start: string): Initiator {
    const { identity, session } = this.#enrolled;
    return createInitiator({
      runtime: this.#runtime,
      pattern: 'XX',
      staticKey: session,
      prologue: { installation: INSTALLATION, responderRole: 'broker' },
      onResponderHello(payload, _responderStatic, ownSessionId) {
        const hello: AgentHello = {
          kind: 'agent-hello',
          identity,
          session: hex(ownSessionId),
          version: 1,
          start,
        };
        return {
          payload3: bytesOf(JSON.stringify(hello)),
          sessionId: fromHex(decodeAs(payload, isBrokerHello).session),
        };
      },
      // A frame lost shows as a round that does not end.
      send: (frame) => void this.#bus.send(BROKER_ADDRESS, frame).catch(() => undefined),
      onOpen: () => undefined,
      onMessage: (bytes) => this.#heard(decodeBrokerMessage(bytes)),
      onLost: () => undefined,
    });
  }
}
