import { bytesOf } from '../../protocol/encoding.ts';
import { decodeTrustedMessage } from '../../protocol/messages.ts';
import { type Header, sameBytes } from '../../protocol/session/header.ts';
import type { AnswerItem, AskBody, AskItem } from '../../protocol/session/trusted-link.ts';
import { expect } from '../expectation.ts';
import { type Channel, MESSAGE } from '../peer/channel.ts';
import { Mailbox } from '../peer/mailbox.ts';

type Result = AnswerItem['result'];
type Of<R extends Result> = Extract<AnswerItem, { readonly result: R }>;

export interface TalkParts {
  /** Puts a frame on the bus. */
  readonly send: (frame: Uint8Array) => Promise<void>;
  readonly channel: Channel;
  readonly answerMs: number;
  readonly signal: AbortSignal;
}

/** Item numbers of all sessions of a run: each names one item for good. */
let lastItem = 0;

export function nextItem(): number {
  return (lastItem += 1);
}

/** A broker's end of a trusted session; every word in it is the case's. */
export class Talk {
  readonly channel: Channel;
  readonly answers = new Mailbox<AnswerItem>();
  /** What the adapter asks of the broker; answered with `ok` at once. */
  readonly asked = new Mailbox<AskItem>();
  readonly violations: string[] = [];
  readonly #parts: TalkParts;

  constructor(parts: TalkParts) {
    this.#parts = parts;
    this.channel = parts.channel;
  }

  async sayBytes(bytes: Uint8Array): Promise<void> {
    await this.#parts.send(this.channel.message(bytes));
  }

  async say(message: object): Promise<void> {
    await this.sayBytes(bytesOf(JSON.stringify(message)));
  }

  /** One batch of items with numbers. */
  async askAll(items: readonly object[]): Promise<void> {
    await this.say({ kind: 'ask', items });
  }

  async ask(body: AskBody, signal: AbortSignal, item = nextItem()): Promise<AnswerItem> {
    await this.askAll([{ ...body, item }]);
    return this.answerTo(item, signal, body.op);
  }

  async answerTo(item: number, signal: AbortSignal, what = 'the item'): Promise<AnswerItem> {
    const answer = await this.answers.take((entry) => entry.item === item, this.#parts.answerMs, signal);
    expect(answer !== undefined, `${what} was not answered`);
    return answer;
  }

  async askFor<R extends Result>(result: R, body: AskBody, signal: AbortSignal): Promise<Of<R>> {
    const answer = await this.ask(body, signal);
    const is = (entry: AnswerItem): entry is Of<R> => entry.result === result;
    expect(is(answer), `${body.op} was answered ${wordsOf(answer)}, not ${result}`);
    return answer;
  }

  async expectRefused(code: string, body: AskBody, signal: AbortSignal): Promise<void> {
    const answer = await this.askFor('refused', body, signal);
    expect(answer.code === code, `${body.op} was refused with ${answer.code}, not ${code}`);
  }

  receive(header: Header): boolean {
    if (header.kind !== 'frame' || !sameBytes(header.receiver, this.channel.ownId)) return false;
    const plaintext = this.channel.open(header);
    if (plaintext === undefined) this.violations.push('a frame of the adapter does not open');
    else if (plaintext[0] === MESSAGE) this.#hear(plaintext.subarray(1));
    return true;
  }

  #hear(bytes: Uint8Array): void {
    try {
      const message = decodeTrustedMessage(bytes);
      if (message.kind === 'answers') for (const item of message.items) this.answers.push(item);
      else this.#acknowledge(message.items);
    } catch (caught) {
      this.violations.push(caught instanceof Error ? caught.message : String(caught));
    }
  }

  #acknowledge(items: readonly AskItem[]): void {
    for (const item of items) this.asked.push(item);
    void this.say({ kind: 'answers', items: items.map(({ item }) => ({ result: 'ok', item })) }).catch(
      () => undefined,
    );
  }
}

function wordsOf(answer: AnswerItem): string {
  return answer.result === 'refused' ? `refused ${answer.code}` : answer.result;
}
