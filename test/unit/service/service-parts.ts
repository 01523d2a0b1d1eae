import type { BrokerConfiguration, QueueConfiguration } from '../../../broker/service/configuration.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Description } from '../../../protocol/generated/types.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';
import type { Runtime } from '../../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../../protocol/session/trusted-link.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { LIMITS, TERMS } from '../lease-machine/world.ts';

const crypto = createCrypto(createSeededRandom(1));
export const OK: AnswerBody = { result: 'ok' };

export const QUEUE: QueueConfiguration = {
  ...TERMS,
  name: 'local',
  jobAdapter: 'jobs',
  storageAdapter: 'storage',
  maxLost: 3,
  prefetch: 8,
};

export const CONFIGURATION: BrokerConfiguration = {
  installation: 'example',
  instance: 'broker-1',
  start: 'a'.repeat(26),
  keys: {
    session: crypto.generate('x25519'),
    grant: crypto.generate('ed25519'),
    certifier: crypto.generate('ed25519'),
    identity: crypto.generate('p256').publicKey,
  },
  queues: [QUEUE],
  services: [],
  limits: LIMITS,
  sweepMs: 5_000,
  parkMs: 55_000,
  verdictWaitMs: 2_000,
  maxParked: 100,
};

/** A runtime on a clock moved by hand. */
export function createRuntime(): Runtime & { readonly clock: ManualClock } {
  return { clock: createManualClock(), random: createSeededRandom(1), crypto, log: silentLog };
}

export function describe(change: Partial<Description> = {}): Description {
  return {
    command: 'generate',
    arguments: [],
    environment: {},
    inputs: [],
    outputs: [],
    limits: { wallSeconds: 3600, memoryMiB: 512, diskMiB: 100 },
    requirements: '',
    ...change,
  };
}

export interface Asked {
  readonly service: string;
  readonly body: AskBody;
}

/** Both adapters, played by the test: what they were asked, and what they answer. */
export interface PlayedAdapters {
  readonly asked: Asked[];
  /** Answers every item from now on; a rejection is an adapter that is not there. */
  play(answer: (body: AskBody) => AnswerBody | Promise<AnswerBody>): void;
  readonly ask: (service: string, body: AskBody) => Promise<AnswerBody>;
  /** What was asked so far, by its name. */
  ops(): readonly string[];
}

export function playAdapters(answer: (body: AskBody) => AnswerBody | Promise<AnswerBody>): PlayedAdapters {
  const asked: Asked[] = [];
  let current = answer;
  return {
    asked,
    play(next) {
      current = next;
    },
    async ask(service, body) {
      asked.push({ service, body });
      return current(body);
    },
    ops: () => asked.map(({ body }) => body.op),
  };
}

/** An adapter that cannot be reached. */
export function unreachable(): Promise<AnswerBody> {
  return Promise.reject(new CoPilotError('UNREACHABLE', 'the adapter is not there'));
}
