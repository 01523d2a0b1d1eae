import { CoPilotError } from '../errors.ts';
import type * as types from '../generated/types.ts';
import { bytesOf } from '../encoding.ts';
import { decodeTrustedMessage } from '../messages.ts';
import type { Cancel, Clock, Log } from '../runtime/runtime.ts';

export type AskItem = types.Ask['items'][number];
export type AnswerItem = types.Answers['items'][number];

/** An item without its number, which the link gives. */
export type Unnumbered<T> = T extends { readonly item: number } ? Omit<T, 'item'> : never;
export type AskBody = Unnumbered<AskItem>;
export type AnswerBody = Unnumbered<AnswerItem>;

export interface TrustedLinkOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Seals and sends one message on the current session; false where there is none. */
  readonly send: (message: Uint8Array) => boolean;
  /** Does what the peer asks; may be called again for the same item. A rejection is answered as refused. */
  readonly onAsk: (item: AskItem) => Promise<AnswerBody>;
  /** Items asked and unanswered, queued ones included; beyond it `ask` rejects with `BUS_CLOSED`. */
  readonly maxOpenItems?: number;
  /** Something asked is unanswered for 5 s, in which nothing came at all: it is asked again, and may go another way. */
  readonly onSilence?: () => void;
  /** Numbers for items; shared by links that follow one another, so that a late answer settles no other item. */
  readonly nextNumber?: () => number;
}

/** Either end of the trusted side: asks items in batches and answers the peer's. */
export interface TrustedLink {
  /** Resolves with the answer; rejects with `BUS_CLOSED` at the bound or after `close`, `TIMEOUT` after `deadlineMs`. */
  ask(body: AskBody, deadlineMs?: number): Promise<AnswerBody>;
  /** A message opened by the session. */
  receive(message: Uint8Array): void;
  /** A new session is up: everything unanswered is asked again, for the peer may have lost it. */
  reopened(): void;
  close(): void;
}

interface Open {
  readonly number: number;
  /** The item as JSON, made once. */
  readonly json: string;
  readonly resolve: (answer: AnswerBody) => void;
  readonly reject: (error: CoPilotError) => void;
  readonly op: AskItem['op'];
  readonly deadlineMs: number;
  /** Monotonic time at which it is given up. */
  readonly dueMs: number;
  batch: number;
  askedMs: number;
}

const MAX_OPEN_BATCHES = 8;
const MAX_ITEMS = 128;
const MAX_BATCH_BYTES = 28 * 1024;
const DEFAULT_DEADLINE_MS = 30_000;
const RESEND_MS = 5_000;
/** What nobody waits for: it goes with whatever is asked next, or after `UNHURRIED_MS`. */
const UNHURRIED = new Set<AskItem['op']>(['started', 'renewed', 'released', 'finished', 'failed']);
const UNHURRIED_MS = 20;
const NO_BATCH = 0;

/**
 * What is asked or answered while nothing else is under way goes at once, unless nobody waits for it. Everything else waits for the end of the turn: batches are
 * what queued meanwhile, never a timer, and at most `MAX_OPEN_BATCHES` are under way, so at load many items share a frame and its seal. Whatever is asked may be asked again; the port behind each item says why that is harmless.
 */
export function createTrustedLink(options: TrustedLinkOptions): TrustedLink {
  const { clock, log, send, onAsk } = options;
  const maxOpen = options.maxOpenItems ?? 4096;
  const nextNumber = options.nextNumber ?? counting();
  const open = new Map<number, Open>();
  /** Batches of which nothing was answered yet: one slow item holds up no others. */
  const batches = new Set<number>();
  const queue: Open[] = [];
  const answers: string[] = [];
  /** Items of the peer that are being answered. */
  let answering = 0;
  let lastBatch = NO_BATCH;
  let heardMs = clock.monotonicMs();
  let flushing = false;
  let closed = false;
  let cancelResend: Cancel = () => undefined;
  let cancelFlush: Cancel = () => undefined;
  let flushingLater = false;
  let cancelFlushLater: Cancel = () => undefined;
  let cancelGiveUp: Cancel = () => undefined;
  /** When `giveUp` looks next. */
  let giveUpMs = Number.POSITIVE_INFINITY;

  function flushSoon(): void {
    if (flushing || closed) return;
    flushing = true;
    cancelFlush = clock.schedule(0, () => {
      flushing = false;
      flushAnswers();
      flushAsks();
    });
  }

  function flushLater(): void {
    if (flushingLater || flushing || closed) return;
    flushingLater = true;
    cancelFlushLater = clock.schedule(UNHURRIED_MS, () => {
      flushingLater = false;
      flushAsks();
    });
  }

  function flushAsks(): void {
    if (flushingLater) cancelFlushLater();
    flushingLater = false;
    while (queue.length > 0 && batches.size < MAX_OPEN_BATCHES) {
      const items = takeBatch(queue, (entry) => entry.json).filter((entry) => open.has(entry.number));
      if (items.length > 0 && !sendBatch(items)) return;
    }
  }

  /** False where there is no session: the items stay open and are asked again on the next one. */
  function sendBatch(items: readonly Open[]): boolean {
    if (!send(bytesOf(`{"kind":"ask","items":[${items.map((entry) => entry.json).join(',')}]}`)))
      return false;
    lastBatch += 1;
    batches.add(lastBatch);
    for (const entry of items) {
      entry.batch = lastBatch;
      entry.askedMs = clock.monotonicMs();
    }
    return true;
  }

  function flushAnswers(): void {
    while (answers.length > 0) {
      const items = takeBatch(answers, (json) => json);
      // Where the session is gone the peer asks again on the next one.
      if (!send(bytesOf(`{"kind":"answers","items":[${items.join(',')}]}`))) return;
    }
  }

  function settle(number: number): Open | undefined {
    const entry = open.get(number);
    if (entry === undefined) return undefined;
    open.delete(number);
    leaveBatch(entry);
    if (queue.length > 0) flushSoon();
    return entry;
  }

  function leaveBatch(entry: Open): void {
    batches.delete(entry.batch);
    entry.batch = NO_BATCH;
  }

  function answer(item: AskItem): void {
    answering += 1;
    void onAsk(item)
      .catch((caught: unknown): AnswerBody => refusal(caught, log, item.op))
      .then((body) => {
        const json = JSON.stringify({ ...body, item: item.item });
        answers.push(Buffer.byteLength(json) <= MAX_BATCH_BYTES ? json : tooLarge(item));
        answering -= 1;
        if (answering === 0 && !closed) flushAnswers();
        else flushSoon();
      });
  }

  function askAgain(askedBeforeMs: number): void {
    for (const entry of open.values()) {
      if (entry.batch === NO_BATCH || entry.askedMs > askedBeforeMs) continue;
      leaveBatch(entry);
    }
    queue.length = 0;
    for (const entry of open.values()) if (entry.batch === NO_BATCH) queue.push(entry);
    if (queue.length > 0) flushSoon();
  }

  /** One timer for all items, since nearly all are answered long before they are due. */
  function giveUpBy(dueMs: number): void {
    if (dueMs >= giveUpMs) return;
    cancelGiveUp();
    giveUpMs = dueMs;
    cancelGiveUp = clock.schedule(dueMs - clock.monotonicMs(), giveUp);
  }

  function giveUp(): void {
    const nowMs = clock.monotonicMs();
    giveUpMs = Number.POSITIVE_INFINITY;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { number, op, deadlineMs, dueMs } of [...open.values()]) {
      if (dueMs > nowMs) nextMs = Math.min(nextMs, dueMs);
      else settle(number)?.reject(new CoPilotError('TIMEOUT', `no answer to ${op} within ${deadlineMs} ms`));
    }
    if (open.size > 0) giveUpBy(nextMs);
  }

  function watch(): void {
    cancelResend = clock.schedule(RESEND_MS, () => {
      const sinceMs = clock.monotonicMs() - RESEND_MS;
      const isWaiting = [...open.values()].some(
        ({ batch, askedMs }) => batch !== NO_BATCH && askedMs <= sinceMs,
      );
      if (isWaiting && heardMs <= sinceMs) options.onSilence?.();
      askAgain(sinceMs);
      watch();
    });
  }
  watch();

  return {
    ask(body, deadlineMs = DEFAULT_DEADLINE_MS) {
      if (closed || open.size >= maxOpen) {
        return Promise.reject(
          new CoPilotError('BUS_CLOSED', closed ? 'the link is closed' : 'too many items are unanswered'),
        );
      }
      const number = nextNumber();
      const json = JSON.stringify({ ...body, item: number });
      if (Buffer.byteLength(json) > MAX_BATCH_BYTES)
        return Promise.reject(
          new CoPilotError('FRAME_TOO_LARGE', `a ${body.op} is over the bound of a message`),
        );
      return new Promise((resolve, reject) => {
        const dueMs = clock.monotonicMs() + deadlineMs;
        const { op } = body;
        const entry = { number, op, json, resolve, reject, deadlineMs, dueMs, batch: NO_BATCH, askedMs: 0 };
        open.set(number, entry);
        queue.push(entry);
        giveUpBy(dueMs);
        if (UNHURRIED.has(op)) flushLater();
        else if (batches.size === 0 && queue.length === 1) flushAsks();
        else flushSoon();
      });
    },
    receive(bytes) {
      if (closed) return;
      heardMs = clock.monotonicMs();
      const message = decodeTrustedMessage(bytes);
      if (message.kind === 'ask') for (const item of message.items) answer(item);
      else for (const { item, ...body } of message.items) settle(item)?.resolve(body);
    },
    reopened: () => askAgain(clock.monotonicMs()),
    close() {
      closed = true;
      cancelResend();
      cancelFlush();
      cancelFlushLater();
      cancelGiveUp();
      for (const number of [...open.keys()])
        settle(number)?.reject(new CoPilotError('BUS_CLOSED', 'the link is closed'));
    },
  };
}

/** 1, 2, 3, … */
export function counting(): () => number {
  let last = 0;
  return () => (last += 1);
}

/** Takes from the front what fits one message. */
function takeBatch<T>(queue: T[], jsonOf: (item: T) => string): T[] {
  let bytes = 0;
  let count = 0;
  for (const item of queue) {
    bytes += Buffer.byteLength(jsonOf(item)) + 1;
    if (count >= MAX_ITEMS || (bytes > MAX_BATCH_BYTES && count > 0)) break;
    count += 1;
  }
  return queue.splice(0, count);
}

function tooLarge(item: AskItem): string {
  const body: AnswerItem = {
    result: 'refused',
    item: item.item,
    code: 'FRAME_TOO_LARGE',
    message: 'the answer is over the bound',
  };
  return JSON.stringify(body);
}

function refusal(caught: unknown, log: Log, op: AskItem['op']): AnswerBody {
  if (caught instanceof CoPilotError)
    return { result: 'refused', code: caught.code, message: caught.message.slice(0, 500) };
  log.error({ op, err: caught }, 'an item failed');
  return {
    result: 'refused',
    code: 'INTERNAL',
    message: 'the item failed; the log of the other side says why',
  };
}
