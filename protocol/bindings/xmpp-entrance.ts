import type { Element } from '@xmpp/client';
import { toCoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log } from '../runtime/runtime.ts';
import type { Inlet } from './inlet.ts';
import type { XmppConnection, XmppEvents } from './xmpp-connection.ts';

export interface EntranceOptions {
  readonly clock: Clock;
  readonly log: Log;
  open(events: XmppEvents, signal: AbortSignal): Promise<XmppConnection>;
  openInlet(connection: () => XmppConnection | undefined): Inlet;
  take(stanza: Element, inlet: Inlet): void;
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
  #connection: XmppConnection | undefined;
  #inlet: Inlet | undefined;
  #cancelRetry: Cancel = () => undefined;

  constructor(options: EntranceOptions) {
    this.#options = options;
  }

  get isHeld(): boolean {
    return this.#connection !== undefined;
  }

  /** Resolves when it has been tried once; never rejects. */
  start(): Promise<void> {
    this.#connecting = this.#connect();
    return this.#connecting;
  }

  /** Takes nothing more, and resolves when what runs has ended; the name is held until `stop`, so that nobody is greeted twice. */
  async settled(): Promise<void> {
    this.#stop.abort();
    this.#cancelRetry();
    await this.#connecting;
    this.#inlet?.close();
    await this.#inlet?.settled();
  }

  async stop(): Promise<void> {
    await this.settled();
    await this.#connection?.close();
    this.#connection = undefined;
  }

  async #connect(): Promise<void> {
    const { log, open, openInlet, take } = this.#options;
    let isLost = false;
    const inlet = openInlet(() => this.#connection);
    try {
      const connection = await open(
        {
          onBytes: () => undefined,
          onStanza: (stanza) => take(stanza, inlet),
          onLost: () => {
            isLost = true;
            this.#lost(inlet);
          },
        },
        this.#stop.signal,
      );
      if (this.#stop.signal.aborted) await connection.close();
      else if (!isLost) {
        this.#connection = connection;
        this.#inlet = inlet;
        log.info({}, 'this broker answers at the shared address');
      }
    } catch (caught) {
      const { code, message } = toCoPilotError(caught);
      if (code !== 'CONFLICT') log.debug({ errorCode: code, reason: message }, 'no shared address');
      this.#retryLater();
    }
  }

  #lost(inlet: Inlet): void {
    inlet.close();
    this.#connection = undefined;
    this.#retryLater();
  }

  #retryLater(): void {
    if (this.#stop.signal.aborted) return;
    this.#cancelRetry = this.#options.clock.schedule(RETRY_MS, () => {
      this.#connecting = this.#connect();
    });
  }
}
