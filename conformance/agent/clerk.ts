import { fromBase64url, textOf } from '../../protocol/encoding.ts';
import type {
  Attempt,
  Capability,
  File,
  Lease,
  NoWork,
  Renew,
  Report,
  Request,
  Verdict,
  VerdictItem,
} from '../../protocol/generated/types.ts';
import { type AgentMessage, type BrokerMessage, decodeAgentMessage } from '../../protocol/messages.ts';
import { reportEvidence } from '../../protocol/report-evidence.ts';
import type { PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { repeatedField } from './repeated-field.ts';
import type { Faults } from './faults.ts';
import type { Line } from './line.ts';

/** What an agent said, and when. */
export interface Heard<M extends AgentMessage = AgentMessage> {
  readonly message: M;
  readonly line: Line;
  readonly atMs: number;
  /** The same message under the same counter has come before. */
  readonly isRepeat: boolean;
}

type Kind = AgentMessage['kind'];
export type Said<K extends Kind> = Extract<AgentMessage, { readonly kind: K }>;
type Answered = BrokerMessage & { readonly counter: number };

/** What a case says instead of the broker's usual answer. */
export type Answer = Answered | 'nothing';

/** Usual answers a case changes; undefined gives the usual one. */
export type AnswerManners = {
  -readonly [K in Kind]?: (message: Said<K>, line: Line) => Answer | undefined;
};

/** An attempt of ours and where it stands. */
export interface Deal {
  readonly lease: Lease;
  state: 'live' | 'reported' | 'ended';
  order: 'continue' | 'cancel' | 'drain';
  /** Said of its report, and of it later. */
  verdict: Verdict;
}

interface SlotState {
  counter: number;
  /** The bytes said under that counter. */
  text: string;
  answer: Answered | undefined;
  message: AgentMessage;
}

export interface ClerkOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  readonly faults: Faults;
  readonly say: (line: Line, message: BrokerMessage) => void;
  readonly agentId: () => string;
  readonly signingKey: () => PublicKey | undefined;
  /** Fresh capabilities for files of an attempt. */
  readonly capabilities: (
    attempt: Attempt,
    verb: Capability['verb'],
    files: readonly File[],
  ) => readonly Capability[];
  /** Whether storage has a file whole, with this size and digest. */
  readonly isStored: (attempt: Attempt, file: File) => boolean;
  readonly maxSlots: () => number;
}

/** Answers what an agent says as a broker does, unless the case says otherwise, and notes what no agent may say. */
export class Clerk {
  readonly heard: Heard[] = [];
  manners: AnswerManners = {};
  readonly #options: ClerkOptions;
  readonly #slots = new Map<number, SlotState>();
  readonly #deals = new Map<string, Deal>();
  readonly #parked = new Map<number, { readonly request: Request; readonly line: Line }>();
  /** Where slots stand that this clerk never answered, as a welcome says. */
  readonly floors = new Map<number, number>();
  readonly #consumed = new Set<Heard>();
  readonly #sessions = new Set<Line>();
  /** Final verdicts that the agent has not named as seen. */
  readonly pending: VerdictItem[] = [];

  constructor(options: ClerkOptions) {
    this.#options = options;
  }

  get deals(): readonly Deal[] {
    return [...this.#deals.values()];
  }

  get parkedSlots(): readonly number[] {
    return [...this.#parked.keys()];
  }

  /** The request that waits for work, oldest slot first. */
  get parked(): Request | undefined {
    return [...this.#parked.values()][0]?.request;
  }

  /** Where each slot stands, for a welcome. */
  get counters(): readonly { readonly slot: number; readonly counter: number }[] {
    const all = new Map(this.floors);
    for (const [slot, { counter, answer }] of this.#slots)
      if (slot !== 0 && answer !== undefined) all.set(slot, counter);
    return [...all].map(([slot, counter]) => ({ slot, counter }));
  }

  get held(): readonly Attempt[] {
    return this.deals
      .filter(({ state }) => state === 'live')
      .map(({ lease: { job, attempt } }) => ({ job, attempt }));
  }

  /** The first message of a kind that no call has taken and that fits; it is taken. */
  take<K extends Kind>(
    kind: K,
    fits: (heard: Heard<Said<K>>) => boolean = () => true,
  ): Heard<Said<K>> | undefined {
    const found = this.heard.find(
      (entry): entry is Heard<Said<K>> => isOf(entry, kind) && !this.#consumed.has(entry) && fits(entry),
    );
    if (found !== undefined) this.#consumed.add(found);
    return found;
  }

  /** Everything heard of a kind since a moment. */
  since<K extends Kind>(kind: K, atMs: number): readonly Heard<Said<K>>[] {
    return this.heard.filter((entry): entry is Heard<Said<K>> => isOf(entry, kind) && entry.atMs >= atMs);
  }

  /** Whatever was heard so far is history. */
  forgetHeard(): void {
    for (const entry of this.heard) this.#consumed.add(entry);
  }

  /** Another start of the agent: what its predecessor left open is void. */
  newStart(): void {
    this.#parked.clear();
    // No welcome says where slot 0 stands, so its counters rise within one start.
    this.#slots.delete(0);
    for (const [slot, state] of this.#slots) if (state.answer === undefined) this.#slots.delete(slot);
  }

  /** A welcome was said on it: from now on it may speak. */
  opened(line: Line): void {
    this.#sessions.add(line);
  }

  receive(line: Line, bytes: Uint8Array): void {
    const { faults } = this.#options;
    let message: AgentMessage;
    const text = textOfOr(bytes);
    try {
      message = decodeAgentMessage(bytes);
    } catch (caught) {
      faults.note('M-1', `it said what the schemas refuse: ${caught instanceof Error ? caught.message : ''}`);
      return;
    }
    const twice = repeatedField(text);
    if (twice !== undefined) faults.note('M-3', `it named the field ${twice} twice`);
    if (!this.#sessions.has(line)) faults.note('S-26', `it said ${message.kind} before a welcome`);
    this.#checkSlot(message);
    const isRepeat = this.#isRepeat(message, text);
    this.heard.push({ message, line, atMs: performance.now(), isRepeat });
    this.#noteSeen(message);
    if (isRepeat) this.#again(message, line);
    else this.#first(message, line, text);
  }

  /** Gives work to the parked request; false where none is parked. */
  give(lease: Lease): boolean {
    const entry = [...this.#parked.entries()][0];
    if (entry === undefined) return false;
    const [, { request, line }] = entry;
    this.deal(lease);
    this.answer(line, request, {
      kind: 'job',
      slot: request.slot,
      counter: request.counter,
      lease,
      verdicts: [],
    });
    return true;
  }

  /** Keeps account of a lease that a case gives in its own words. */
  deal(lease: Lease): Deal {
    const known = this.#deals.get(keyOf(lease));
    if (known !== undefined) return known;
    const deal: Deal = { lease, state: 'live', order: 'continue', verdict: 'committed' };
    this.#deals.set(keyOf(lease), deal);
    return deal;
  }

  dealOf(attempt: Attempt): Deal | undefined {
    return this.#deals.get(keyOf(attempt));
  }

  /** Answers the parked request without work. */
  none(none: NoWork): boolean {
    const entry = [...this.#parked.entries()][0];
    if (entry === undefined) return false;
    const [, { request, line }] = entry;
    this.answer(line, request, {
      kind: 'none',
      slot: request.slot,
      counter: request.counter,
      none,
      verdicts: [...this.pending],
    });
    return true;
  }

  /** Says the answer, and remembers it for repeats. */
  answer(line: Line, message: AgentMessage, answer: Answered): void {
    const state = this.#slots.get(message.slot);
    if (state?.counter === message.counter && answer.kind !== 'error') state.answer = answer;
    if (message.kind === 'request') this.#parked.delete(message.slot);
    this.#options.say(line, answer);
  }

  #checkSlot(message: AgentMessage): void {
    const { faults, maxSlots } = this.#options;
    if ((message.kind === 'renew') !== (message.slot === 0))
      faults.note('M-5', `it said ${message.kind} in slot ${message.slot}`);
    if (message.slot > maxSlots()) faults.note('S-28', `it used slot ${message.slot} of ${maxSlots()}`);
  }

  #isRepeat(message: AgentMessage, text: string): boolean {
    const { faults } = this.#options;
    const last = this.#slots.get(message.slot);
    const floor = Math.max(last?.counter ?? 0, this.floors.get(message.slot) ?? 0);
    if (last?.counter === message.counter) {
      if (last.text !== text)
        faults.note(
          'M-7',
          `it said something else again under counter ${message.counter} of slot ${message.slot}`,
        );
      return true;
    }
    if (message.counter <= floor)
      faults.note('M-7', `its counter ${message.counter} in slot ${message.slot} is not above ${floor}`);
    return false;
  }

  #noteSeen(message: AgentMessage): void {
    if (!('seen' in message)) return;
    for (const named of message.seen) {
      const at = this.pending.findIndex((item) => keyOf(item) === keyOf(named));
      if (at >= 0) this.pending.splice(at, 1);
    }
  }

  #again(message: AgentMessage, line: Line): void {
    const usual = this.#slots.get(message.slot)?.answer;
    const answer = this.#changed(message, line) ?? usual;
    if (answer === 'nothing') return;
    if (message.kind === 'request' && answer === undefined)
      this.#parked.set(message.slot, { request: message, line });
    if (answer !== undefined) this.answer(line, message, answer);
  }

  #first(message: AgentMessage, line: Line, text: string): void {
    this.#slots.set(message.slot, { counter: message.counter, text, answer: undefined, message });
    if (message.kind === 'report') this.#checkReport(message);
    const answer = this.#changed(message, line) ?? this.#usual(message, line);
    if (answer !== 'nothing') this.answer(line, message, answer);
  }

  #changed(message: AgentMessage, line: Line): Answer | undefined {
    const { manners } = this;
    switch (message.kind) {
      case 'request':
        return manners.request?.(message, line);
      case 'renew':
        return manners.renew?.(message, line);
      case 'outputs':
        return manners.outputs?.(message, line);
      case 'report':
        return manners.report?.(message, line);
      case 'release':
        return manners.release?.(message, line);
      case 'call':
        return manners.call?.(message, line);
      case 'parts':
        return manners.parts?.(message, line);
    }
  }

  #usual(message: AgentMessage, line: Line): Answer {
    const { slot, counter } = message;
    switch (message.kind) {
      case 'request':
        this.#parked.set(slot, { request: message, line });
        return 'nothing';
      case 'renew':
        return this.renewed(message);
      case 'outputs':
        return {
          kind: 'capabilities',
          slot,
          counter,
          job: message.job,
          attempt: message.attempt,
          capabilities: [...this.#options.capabilities(message, message.verb, message.files)],
          verdicts: [],
        };
      case 'report':
        return this.reported(message);
      case 'release':
        this.#end(message);
        return { kind: 'released', slot, counter, job: message.job, attempt: message.attempt, verdicts: [] };
      case 'call':
      case 'parts':
        return { kind: 'error', slot, counter, code: 'UNSUPPORTED', message: 'not in this version' };
    }
  }

  renewed({ slot, counter, leases }: Renew): Answered {
    return {
      kind: 'renewed',
      slot,
      counter,
      leases: leases.map(({ job, attempt }) => {
        const deal = this.#deals.get(keyOf({ job, attempt }));
        const order = deal?.state === 'live' ? deal.order : 'cancel';
        if (deal?.state === 'live' && order === 'cancel') deal.state = 'ended';
        return {
          job,
          attempt,
          order,
          leaseSeconds: order === 'cancel' ? 0 : (deal?.lease.leaseSeconds ?? 0),
        };
      }),
      verdicts: [...this.pending],
    };
  }

  reported(message: Report): Answered {
    const { slot, counter, job, attempt } = message;
    const deal = this.#deals.get(keyOf(message));
    if (deal === undefined || deal.state === 'ended')
      return { kind: 'error', slot, counter, code: 'ATTEMPT_NOT_LIVE', message: 'it is not live' };
    const isGood = message.exit.kind === 'exited' && message.exit.code === 0;
    const verdict = isGood ? deal.verdict : 'refused';
    deal.state = 'reported';
    if (verdict === 'committed' || verdict === 'refused') this.decide(deal, verdict);
    const next: NoWork = { reason: 'no-work', retryAfterSeconds: 0 };
    return {
      kind: 'reported',
      slot,
      counter,
      job,
      attempt,
      verdict,
      reason: isGood ? '' : 'the job failed',
      ...(message.next !== undefined && { next }),
      verdicts: [],
    };
  }

  /** The verdict is final: answers carry it until the agent has named it as seen. */
  decide(deal: Deal, verdict: 'committed' | 'refused'): void {
    const { job, attempt } = deal.lease;
    this.pending.push({ job, attempt, verdict, reason: '' });
  }

  #end(attempt: Attempt): void {
    const deal = this.#deals.get(keyOf(attempt));
    if (deal !== undefined) deal.state = 'ended';
  }

  #checkReport(report: Report): void {
    const { faults, runtime, installation, agentId, signingKey, isStored } = this.#options;
    const key = signingKey();
    const evidence = reportEvidence(installation, agentId(), report);
    const signature = fromBase64url(report.signature) ?? new Uint8Array();
    if (key === undefined || !runtime.crypto.verify(key, evidence, signature))
      faults.note('V-2', 'the signature of its report does not hold');
    for (const file of report.manifest)
      if (!isStored(report, file))
        faults.note('V-1', `it reported ${file.name}, which storage does not have as the manifest says`);
    const isSuccess = report.exit.kind === 'exited' && report.exit.code === 0;
    if (!isSuccess && report.manifest.length > 0)
      faults.note('V-1', 'it reported files of a job that failed');
  }
}

function keyOf({ job, attempt }: Attempt): string {
  return `${job} ${attempt}`;
}

function isOf<K extends Kind>(entry: Heard, kind: K): entry is Heard<Said<K>> {
  return entry.message.kind === kind;
}

function textOfOr(bytes: Uint8Array): string {
  try {
    return textOf(bytes);
  } catch {
    return ''; // decoding says what is wrong
  }
}
