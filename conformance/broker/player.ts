import { base64url, bytesOf } from '../../protocol/encoding.ts';
import type {
  BrokerHello,
  Capability,
  File,
  Lease,
  Report,
  Reported,
  Welcome,
} from '../../protocol/generated/types.ts';
import { type BrokerMessage, decodeBrokerMessage } from '../../protocol/messages.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { type Header, sameBytes } from '../../protocol/session/header.ts';
import { expect, Failed } from '../expectation.ts';
import { type Channel, CONFIRMATION, MESSAGE } from '../peer/channel.ts';
import { createKeyHolder, type KeyHolder } from '../peer/key-holder.ts';
import { Mailbox } from '../peer/mailbox.ts';
import type { Answered } from './handshake.ts';
import type { Line } from './line.ts';
import type { Membership } from './membership.ts';
import type { SubmittedJob } from './subject.ts';

/** What an agent says, without the slot and counter that `ask` gives it. */
export interface Words {
  readonly kind: string;
  readonly slot?: number;
  readonly counter?: number;
  readonly [field: string]: unknown;
}

export type Held = Pick<Lease, 'job' | 'attempt'>;
type Kind = BrokerMessage['kind'];
type Of<K extends Kind> = Extract<BrokerMessage, { readonly kind: K }>;

/** How an attempt ended, for a report. */
export type Said = Pick<Report, 'exit' | 'manifest'>;

export const SUCCESS = { kind: 'exited', code: 0 } as const;
const USAGE = { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 } as const;
/** Above what stands for a message that could not be read (M-19). */
const FIRST_RENEWAL = 10;

export interface PlayerParts {
  readonly runtime: Runtime;
  readonly member: Membership;
  readonly start: string;
  readonly line: Line;
  readonly answered: Answered;
  readonly answerMs: number;
  readonly signal: AbortSignal;
}

/** An agent without a will: the session is real, every word in it is the case's. */
export class Player {
  readonly member: Membership;
  readonly start: string;
  readonly line: Line;
  readonly channel: Channel;
  readonly brokerHello: BrokerHello;
  readonly storage: KeyHolder;
  readonly heard = new Mailbox<BrokerMessage>();
  /** What no broker may say: frames that do not open, or come twice, or hold no message. */
  readonly violations: string[] = [];
  /** Leases taken and not ended yet, as far as this player knows. */
  readonly leases = new Map<string, Held>();
  confirmations = 0;
  /** It did what counts against an agent (L-15). */
  isStained = false;
  #welcome: Welcome | undefined;
  readonly #parts: PlayerParts;
  readonly #counters = new Map<number, number>([[0, FIRST_RENEWAL]]);
  readonly #seen = new Set<number>();

  constructor(parts: PlayerParts) {
    this.#parts = parts;
    this.member = parts.member;
    this.start = parts.start;
    this.line = parts.line;
    this.channel = parts.answered.channel;
    this.brokerHello = parts.answered.hello;
    this.storage = createKeyHolder(parts.runtime, parts.member.signing, parts.signal);
    this.line.attach((header) => this.#receive(header));
  }

  get id(): string {
    return this.member.claims.sub;
  }

  get welcome(): Welcome {
    if (this.#welcome === undefined) throw new Failed('there was no welcome');
    return this.#welcome;
  }

  /** Waits for the first message of the session; `Failed` where it is no `welcome`. */
  async greet(): Promise<this> {
    const first = await this.heard.take(() => true, this.#parts.answerMs, this.#parts.signal);
    expect(first?.kind === 'welcome', `the first message of the session is ${wordsOf(first)}, no welcome`);
    this.#welcome = first;
    for (const { slot, counter } of first.slots)
      this.#counters.set(slot, Math.max(counter, this.#last(slot)));
    return this;
  }

  count(slot = 1): number {
    const next = this.#last(slot) + 1;
    this.#counters.set(slot, next);
    return next;
  }

  send(frame: Uint8Array): void {
    this.line.send(frame);
  }

  sayBytes(bytes: Uint8Array): void {
    this.send(this.channel.message(bytes));
  }

  say(message: object): void {
    this.sayBytes(bytesOf(JSON.stringify(message)));
  }

  /** The next message of that kind; the others stay. */
  async hear<K extends Kind>(kind: K, withinMs = this.#parts.answerMs): Promise<Of<K>> {
    const is = (message: BrokerMessage): message is Of<K> => message.kind === kind;
    const found = await this.heard.take(is, withinMs, this.#parts.signal);
    expect(
      found !== undefined,
      `no ${kind} came; heard: ${this.heard.items.map(wordsOf).join(', ') || 'nothing'}`,
    );
    return found;
  }

  /** Says it in slot 1 (0 for `renew`) under the next counter, unless it names its own, and waits for its answer. */
  async ask(words: Words, withinMs = this.#parts.answerMs): Promise<BrokerMessage> {
    const slot = words.slot ?? (words.kind === 'renew' ? 0 : 1);
    const counter = words.counter ?? this.count(slot);
    this.say({ ...words, slot, counter });
    return this.answerTo({ slot, counter }, words.kind, withinMs);
  }

  /** The answer to a message of that slot and counter. A farewell is an answer to whatever was said last. */
  async answerTo(
    turn: { readonly slot: number; readonly counter: number },
    kind = 'it',
    withinMs = this.#parts.answerMs,
  ): Promise<BrokerMessage> {
    const answer = await this.heard.take((message) => isAnswer(message, turn), withinMs, this.#parts.signal);
    expect(
      answer !== undefined,
      `${kind} in slot ${turn.slot} under counter ${turn.counter} was not answered`,
    );
    return answer;
  }

  async askFor<K extends Kind>(kind: K, words: Words, withinMs?: number): Promise<Of<K>> {
    const answer = await this.ask(words, withinMs);
    const is = (message: BrokerMessage): message is Of<K> => message.kind === kind;
    expect(is(answer), `${words.kind} was answered ${wordsOf(answer)}, not by ${kind}`);
    return answer;
  }

  /** Says it, and it must be refused with that code. */
  async expectError(code: string, words: Words): Promise<void> {
    const answer = await this.askFor('error', words);
    expect(answer.code === code, `${words.kind} was refused with ${answer.code}, not ${code}`);
  }

  /** A right message is answered now, and nothing else was said: whatever came before had no effect to be seen. */
  async expectUndisturbed(): Promise<void> {
    await this.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
    const others = this.heard.items.filter(({ kind }) => kind !== 'notice');
    expect(others.length === 0, `the broker answered ${others.map(wordsOf).join(', ')}`);
    expect(this.line.losses === 0, 'the broker ended the connection');
  }

  request(job: Pick<SubmittedJob, 'ad'>, change: object = {}): Words {
    return { kind: 'request', ad: job.ad, seen: [], ...change };
  }

  async takeJob(job: SubmittedJob, slot = 1): Promise<Lease> {
    const { lease } = await this.askFor('job', { ...this.request(job), slot }, 3 * this.#parts.answerMs);
    expect(
      lease.job === job.id,
      `job ${lease.job} was leased, whose requirements this host ad does not meet`,
    );
    this.holds(lease);
    return lease;
  }

  holds({ job, attempt }: Held): void {
    this.leases.set(`${job} ${attempt}`, { job, attempt });
  }

  lets({ job, attempt }: Held): void {
    this.leases.delete(`${job} ${attempt}`);
  }

  /** A right report with a right signature; `change` comes after the signing. */
  report({ job, attempt }: Held, said: Said, change: object = {}): Words {
    const signature = this.sign({ job, attempt, ...said });
    return {
      kind: 'report',
      job,
      attempt,
      ...said,
      usage: USAGE,
      logTail: '',
      seen: [],
      signature,
      ...change,
    };
  }

  sign(report: Pick<Report, 'job' | 'attempt' | 'exit' | 'manifest'>): string {
    const { crypto } = this.#parts.runtime;
    return base64url(
      crypto.sign(this.member.signing, reportEvidence(this.member.installation, this.id, report)),
    );
  }

  /** Reports and waits until the verdict is final. */
  async settle(held: Held, said: Said, change: object = {}): Promise<Reported> {
    const answer = await this.askFor('reported', this.report(held, said, change));
    this.lets(held);
    return this.verdictOf(answer);
  }

  /** The answer itself where it is final, or what becomes of it. */
  async verdictOf(answer: Reported): Promise<Reported> {
    if (isFinal(answer)) return answer;
    const verdict = await this.awaitVerdict(answer);
    return { ...answer, verdict: verdict.verdict, reason: verdict.reason };
  }

  /** Asks until the verdict on an attempt is pending (V-11). */
  async awaitVerdict({ job, attempt }: Held): Promise<Reported['verdicts'][number]> {
    for (let asked = 0; asked < 20; asked++) {
      const { verdicts } = await this.askFor('renewed', { kind: 'renew', leases: [], seen: [] });
      const found = verdicts.find(
        (entry) => entry.job === job && entry.attempt === attempt && isFinal(entry),
      );
      if (found !== undefined) return found;
      await this.heard.take(() => false, this.#parts.answerMs / 20, this.#parts.signal);
    }
    throw new Failed(`there was no final verdict on attempt ${attempt} of job ${job}`);
  }

  /** Uploads every declared output and reports success, as an honest agent does. */
  async finish(lease: Lease): Promise<Reported> {
    return this.settle(lease, { exit: SUCCESS, manifest: await this.uploadAll(lease) });
  }

  async uploadAll(lease: Lease): Promise<File[]> {
    const files: File[] = [];
    for (const { name } of lease.description.outputs)
      files.push(await this.storage.upload(putFor(lease.capabilities, name), contentOf(lease, name)));
    return files;
  }

  #last(slot: number): number {
    return this.#counters.get(slot) ?? 0;
  }

  #receive(header: Header): boolean {
    if (header.kind !== 'frame' || !sameBytes(header.receiver, this.channel.ownId)) return false;
    const plaintext = this.channel.open(header);
    if (plaintext === undefined) this.violations.push('a frame of the broker does not open');
    else if (this.#seen.has(header.counter))
      this.violations.push(`counter ${header.counter} sealed two frames`);
    else this.#understand(plaintext);
    this.#seen.add(header.counter);
    return true;
  }

  #understand(plaintext: Uint8Array): void {
    if (plaintext[0] === CONFIRMATION && plaintext.length === 1) {
      this.confirmations += 1;
      return;
    }
    try {
      expect(plaintext[0] === MESSAGE, `the plaintext of a frame begins with ${plaintext[0] ?? 'nothing'}`);
      this.heard.push(decodeBrokerMessage(plaintext.subarray(1)));
    } catch (caught) {
      this.violations.push(caught instanceof Error ? caught.message : String(caught));
    }
  }
}

function isAnswer(
  message: BrokerMessage,
  turn: { readonly slot: number; readonly counter: number },
): boolean {
  if (message.kind === 'farewell') return true;
  return 'counter' in message && message.slot === turn.slot && message.counter === turn.counter;
}

function isFinal({ verdict }: { readonly verdict: string }): boolean {
  return verdict === 'committed' || verdict === 'refused';
}

/** The capability to upload a file; `Failed` where there is none. */
export function putFor(capabilities: readonly Capability[], name: string): Capability {
  const found = capabilities.find((capability) => capability.verb === 'put' && capability.name === name);
  expect(found !== undefined, `there is no capability to put ${name}`);
  return found;
}

export function getFor(capabilities: readonly Capability[], name: string): Capability {
  const found = capabilities.find((capability) => capability.verb === 'get' && capability.name === name);
  expect(found !== undefined, `there is no capability to get ${name}`);
  return found;
}

/** What the player uploads as an output: different for every attempt. */
export function contentOf({ job, attempt }: Held, name: string): Uint8Array {
  return bytesOf(`${name} of job ${job}, attempt ${attempt}\n`);
}

/** A message in a few words. */
function wordsOf(message: BrokerMessage | undefined): string {
  if (message === undefined) return 'nothing';
  if (message.kind === 'error' || message.kind === 'farewell') return `${message.kind} ${message.code}`;
  return message.kind === 'none' ? `none (${message.none.reason})` : message.kind;
}
