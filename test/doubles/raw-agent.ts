import { BROKER_ADDRESS, type Bus } from '../../protocol/bindings/bus.ts';
import { base64url, bytesOf, fromHex, hex, newId } from '../../protocol/encoding.ts';
import type { AgentHello, BrokerHello, Report } from '../../protocol/generated/types.ts';
import { isBrokerHello } from '../../protocol/generated/validators.js';
import { type BrokerMessage, decodeAs, decodeBrokerMessage } from '../../protocol/messages.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { createInitiator, type Initiator } from '../../protocol/session/initiator.ts';
import type { Enrolled } from './broker-stage.ts';

type Kind = BrokerMessage['kind'];
type Of<K extends Kind> = Extract<BrokerMessage, { readonly kind: K }>;

/** Where a raw agent lives: a stage on a clock moved by hand, or the real world. */
export interface RawAgentPlace {
  runtimeOf(party: 'agent'): Runtime;
  readonly network: { bus(address: string): Bus };
  readonly clock: { monotonicMs(): number; run(ms: number): Promise<void> };
}

/** An agent without a will: the session is real, every word in it is the test's. */
export interface RawAgent {
  readonly enrolled: Enrolled;
  readonly start: string;
  readonly initiator: Initiator;
  /** What payload 2 said at the last handshake. */
  readonly brokerHello: () => BrokerHello | undefined;
  /** Everything the broker said that no `hear` has taken, oldest first. */
  readonly heard: BrokerMessage[];
  /** Sends any value as a message. */
  say(message: object): void;
  /** Sends any bytes as a message. */
  sayBytes(bytes: Uint8Array): void;
  /** Puts any bytes on the bus as they are. */
  sendFrame(frame: Uint8Array): void;
  /** The next message of that kind, which is taken away, with all before it; fails where none comes within `withinMs`. */
  hear<K extends Kind>(kind: K, withinMs?: number): Promise<Of<K>>;
  /** Signs a report as the protocol says. */
  sign(report: Pick<Report, 'job' | 'attempt' | 'exit' | 'manifest'>): string;
  /** Goes away without a word. */
  vanish(): Promise<void>;
}

export interface RawAgentOptions {
  readonly address?: string;
  readonly start?: string;
  /** Changes what message 3 says. */
  readonly hello?: (hello: AgentHello) => object;
}

const STEP_MS = 50;
let agents = 0;

/** Connects, and has heard nothing yet. */
export async function createRawAgent(
  stage: RawAgentPlace,
  enrolled: Enrolled,
  installation: string,
  options: RawAgentOptions = {},
): Promise<RawAgent> {
  const runtime = stage.runtimeOf('agent');
  const start = options.start ?? newId(runtime.random);
  const heard: BrokerMessage[] = [];
  const bus: Bus = stage.network.bus(options.address ?? `raw.${++agents}`);
  let brokerHello: BrokerHello | undefined;
  const initiator = createInitiator({
    runtime,
    pattern: 'XX',
    staticKey: enrolled.session,
    prologue: { installation, responderRole: 'broker' },
    onResponderHello(payload, _responderStatic, ownSessionId) {
      brokerHello = decodeAs(payload, isBrokerHello);
      const { identity } = enrolled;
      const hello: AgentHello = {
        kind: 'agent-hello',
        identity,
        session: hex(ownSessionId),
        version: 1,
        start,
      };
      const payload3 = bytesOf(JSON.stringify(options.hello?.(hello) ?? hello));
      return { payload3, sessionId: fromHex(brokerHello.session) };
    },
    send: (frame) => void bus.send(BROKER_ADDRESS, frame).catch(() => undefined),
    onOpen: () => undefined,
    onMessage: (bytes) => heard.push(decodeBrokerMessage(bytes)),
    onLost: () => undefined,
  });
  bus.onFrame((_from, frame) => initiator.receive(frame));
  await bus.start();
  initiator.connect();

  return {
    enrolled,
    start,
    initiator,
    brokerHello: () => brokerHello,
    heard,
    say: (message) => void initiator.send(bytesOf(JSON.stringify(message))),
    sayBytes: (bytes) => void initiator.send(bytes),
    sendFrame: (frame) => void bus.send(BROKER_ADDRESS, frame).catch(() => undefined),
    async hear<K extends Kind>(kind: K, withinMs = 10_000): Promise<Of<K>> {
      const untilMs = stage.clock.monotonicMs() + withinMs;
      const is = (message: BrokerMessage): message is Of<K> => message.kind === kind;
      for (;;) {
        const at = heard.findIndex(is);
        const found = heard[at];
        if (found !== undefined && is(found)) {
          heard.splice(0, at + 1);
          return found;
        }
        if (stage.clock.monotonicMs() >= untilMs)
          throw new Error(`no ${kind} came; heard: ${JSON.stringify(heard)}`);
        await stage.clock.run(STEP_MS);
      }
    },
    sign: (report) =>
      base64url(runtime.crypto.sign(enrolled.signing, reportEvidence(installation, enrolled.agent, report))),
    async vanish() {
      initiator.close();
      await bus.stop();
    },
  };
}
