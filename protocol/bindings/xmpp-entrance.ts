import type { Element } from '@xmpp/client';
import { toCoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log } from '../runtime/runtime.ts';
import type { Inlet } from './inlet.ts';
import type { XmppConnection, XmppEvents } from './xmpp-connection.ts';

export interface EntranceOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly open: (events: XmppEvents, signal: AbortSignal) => Promise<XmppConnection>;
  readonly openInlet: (connection: () => XmppConnection | undefined) => Inlet;
  readonly take: (stanza: Element, inlet: Inlet) => void;
  /** The name is not held any more. */
  readonly lost: () => void;
}

interface Held {
  readonly inlet: Inlet;
  connection: XmppConnection | undefined;
  isLost: boolean;
}

const RETRY_MS = 2000;

/**
 * The name that all brokers of an installation share. The server lets one of them hold it; the others ask for it again and again,
 * so that somebody has it two seconds after its holder died.
 */
export class Entrance {
  readonly #options: EntranceOptions;
  readonly #stop = new AbortController();
  #connecting: Promise<void> = Promise.resolve();
  #held: Held | undefined;
  #cancelRetry: Cancel = () => undefined;
  #settle: (isHeld: boolean) => void = () => undefined;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** Resolves when it has been tried once; never rejects. */
  start(): Promise<void> {
    this.#connecting = this.#connect();
    return this.#connecting;
  }

  /** Resolves as soon as it is held, and with false where it is not by then. */
  isHeldWithin(ms: number): Promise<boolean> {
    if (this.isHeld) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = this.#options.clock.schedule(ms, () => this.#settle(false));
      this.#settle = (isHeld) => {
        cancel();
        resolve(isHeld);
      };
    });
  }

  /** Takes nothing more, and resolves when what runs has ended; the name is held until `stop`, so that nobody is greeted twice. */
  async settled(): Promise<void> {
    this.#stop.abort();
    this.#cancelRetry();
    this.#settle(false);
    await this.#connecting;
    this.#held?.inlet.close();
    await this.#held?.inlet.settled();
  }

  async stop(): Promise<void> {
    await this.settled();
    await this.#held?.connection?.close();
    this.#held = undefined;
  }

  async #connect(): Promise<void> {
    const { log, open, openInlet, take } = this.#options;
    const held: Held = { inlet: openInlet(() => held.connection), connection: undefined, isLost: false };
    try {
      held.connection = await open(
        {
          onBytes: () => undefined,
          onStanza: (stanza) => take(stanza, held.inlet),
          onLost: () => this.#lost(held),
        },
        this.#stop.signal,
      );
      this.#hold(held);
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      if (code !== 'CONFLICT') log.debug({ errorCode: code, reason: message }, 'no shared address');
      this.#retryLater();
    }
  }

  #hold(held: Held): void {
    if (held.isLost) return;
    this.#held = held;
    this.#settle(true);
    this.#options.log.info({}, 'this broker answers at the shared address');
  }

  #lost(held: Held): void {
    held.isLost = true;
    held.inlet.close();
    this.#held = undefined;
    this.#options.lost();
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stop.signal.aborted) return;
    this.#cancelRetry = this.#options.clock.schedule(RETRY_MS, () => {
      this.#connecting = this.#connect();
    });
  }
}
