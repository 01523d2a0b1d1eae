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

/** An agent whose jobs take no time: its session, its counters and its signatures are real, its files never travel. */
export class BenchAgent {
  readonly #runtime: Runtime;
  readonly #enrolled: Enrolled;
  readonly #bus: Bus;
  readonly #initiator: Initiator;
  #counter = 0;
  #seen: Report['seen'] = [];
  #hear: (message: BrokerMessage) => void = () => undefined;

  constructor(runtime: Runtime, enrolled: Enrolled, bus: Bus) {
    this.#runtime = runtime;
    this.#enrolled = enrolled;
    this.#bus = bus;
    this.#initiator = this.#createInitiator(newId(runtime.random));
    this.#bus.onFrame((_from, frame) => this.#initiator.receive(frame));
  }

  /** Resolves with the welcome. */
  async connect(): Promise<void> {
    const welcomed = this.#next('welcome');
    await this.#bus.start();
    this.#initiator.connect();
    await welcomed;
  }

  async stop(): Promise<void> {
    this.#initiator.close();
    await this.#bus.stop();
  }

  /**
   * Takes and reports jobs until then; tells how long each report waited for its verdict. With `asksAhead` a report asks for the next job,
   * as agents do; without, there is never more than one job under way.
   */
  async run(untilMs: number, asksAhead: boolean, onCommitted: (latencyMs: number) => void): Promise<void> {
    let lease = await this.#request();
    for (;;) {
      const isLast = performance.now() >= untilMs;
      const report = this.#reportOf(lease, asksAhead && !isLast);
      const sentMs = performance.now();
      this.#say(report);
      const answer = await this.#next('reported');
      // A verdict that is late, where the machine stood still, shows in how long its report waited.
      if (answer.verdict !== 'committed' && answer.verdict !== 'verifying')
        throw new Error(`a report was answered ${JSON.stringify(answer)}`);
      onCommitted(performance.now() - sentMs);
      if (isLast) return;
      lease = answer.next !== undefined && 'job' in answer.next ? answer.next : await this.#request();
    }
  }

  /** Waits for work it will never get, asking again as it is told, until it serves. */
  park(): void {
    this.#ask(IDLE_AD);
    this.#next('none').then(
      () => this.park(),
      () => undefined, // what else comes is heard by whoever asks next
    );
  }

  /** One job, whose lease takes the parked request's place; resolves with when the lease came, once the job is committed. */
  async serve(): Promise<number> {
    const lease = await this.#request();
    const leasedMs = performance.now();
    this.#say(this.#reportOf(lease, false));
    const { verdict } = await this.#next('reported');
    if (verdict !== 'committed') throw new Error(`a report was answered ${verdict}`);
    return leasedMs;
  }

  async #request(): Promise<Lease> {
    this.#ask(HOST_AD);
    return (await this.#next('job')).lease;
  }

  #ask(ad: HostAd): void {
    this.#say({ kind: 'request', slot: 1, counter: ++this.#counter, ad, seen: this.#seen });
  }

  #reportOf({ job, attempt }: Lease, asksAhead: boolean): Report {
    const exit = { kind: 'exited', code: 0 } as const;
    const manifest = [{ name: 'events.dat', size: 1000, sha256: SHA256 }];
    const evidence = reportEvidence(INSTALLATION, this.#enrolled.agent, { job, attempt, exit, manifest });
    const signature = base64url(this.#runtime.crypto.sign(this.#enrolled.signing, evidence));
    const seen = this.#seen;
    // As a real agent: what an answer has told is named as seen by the next message.
    this.#seen = [{ job, attempt }];
    return {
      kind: 'report',
      slot: 1,
      counter: ++this.#counter,
      job,
      attempt,
      exit,
      manifest,
      usage: USAGE,
      logTail: LOG_TAIL,
      signature,
      seen,
      ...(asksAhead && { next: HOST_AD }),
    };
  }

  #say(message: AgentMessage): void {
    if (!this.#initiator.send(encodeMessage(message))) throw new Error('there is no session');
  }

  /** The answer to what was asked last. */
  #next<K extends BrokerMessage['kind']>(kind: K): Promise<Extract<BrokerMessage, { readonly kind: K }>> {
    return new Promise((resolve, reject) => {
      const is = (message: BrokerMessage): message is Extract<BrokerMessage, { readonly kind: K }> =>
        message.kind === kind;
      this.#hear = (message) => {
        // To a request that a newer one has overtaken.
        if ('counter' in message && message.counter < this.#counter) return;
        if (is(message)) resolve(message);
        else reject(new Error(`instead of ${kind} came ${JSON.stringify(message)}`));
      };
    });
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
      onMessage: (bytes) => this.#hear(decodeBrokerMessage(bytes)),
      onLost: () => undefined,
    });
  }
}
