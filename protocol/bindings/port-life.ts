import { CoPilotError, toCoPilotError } from '../errors.ts';
import type { Cancel, Clock, Log, Random } from '../runtime/runtime.ts';
import { ReconnectPauses } from './reconnect-pauses.ts';

export interface PortLifeOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Makes a connection and serves by it; rejects where there is none. Ends soon once the signal is aborted. */
  readonly connect: (signal: AbortSignal) => Promise<void>;
  readonly isConnected: () => boolean;
  /**
   * The server refused who came: resolves when another attempt may do better. Without it a first attempt that is refused ends the
   * port.
   */
  readonly refused: (() => Promise<void>) | undefined;
  /** Whether it is a refusal besides those of the login. */
  readonly isRefusal?: (error: CoPilotError) => boolean;
}

/** The life of a port that has one connection to a server at a time, and makes it again whenever it is lost. */
export class PortLife {
  readonly pauses: ReconnectPauses;
  readonly #options: PortLifeOptions;
  #state: 'new' | 'started' | 'stopping' | 'stopped' = 'new';
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;
  #settleStart: { resolve(): void; reject(error: CoPilotError): void } | undefined;
  #attempt = new AbortController();
  #connecting: Promise<void> = Promise.resolve();
  #cancelRetry: Cancel = () => undefined;

  constructor(options: PortLifeOptions) {
    this.#options = options;
    this.pauses = new ReconnectPauses(options);
  }

  get isStarted(): boolean {
    return this.#state === 'started';
  }

  get isStopping(): boolean {
    return this.#state === 'stopping';
  }

  /** Resolves with the first connection; rejects where that is refused for good, and once the port is stopped. */
  start(): Promise<void> {
    if (this.#state === 'stopping' || this.#state === 'stopped') return Promise.reject(notStarted());
    this.#state = 'started';
    this.#starting ??= new Promise((resolve, reject) => {
      this.#settleStart = { resolve, reject };
      this.#connecting = this.#connect();
    });
    return this.#starting;
  }

  /** A connection serves from now on. */
  connected(): void {
    this.pauses.connected();
    this.#settleStart?.resolve();
    this.#settleStart = undefined;
  }

  /** Makes a connection again after a pause. */
  retryLater(): void {
    this.#cancelRetry = this.#options.clock.schedule(this.pauses.nextMs(), () => {
      if (this.#state === 'started') this.#connecting = this.#connect();
    });
  }

  /** Makes another connection beside the one there is; who stops waits for that too. */
  beside(connect: (signal: AbortSignal) => Promise<void>): Promise<void> {
    this.#attempt = new AbortController();
    this.#connecting = connect(this.#attempt.signal);
    return this.#connecting;
  }

  /** The attempt that is under way. */
  get connecting(): Promise<void> {
    return this.#connecting;
  }

  /** Ends it once, whoever calls how often: an attempt that leads to nothing is aborted, `close` ends what there is. */
  stop(isAttemptInVain: () => boolean, close: () => Promise<void>): Promise<void> {
    this.#stopping ??= this.#shutDown(isAttemptInVain, close);
    return this.#stopping;
  }

  async #shutDown(isAttemptInVain: () => boolean, close: () => Promise<void>): Promise<void> {
    if (this.#state !== 'stopped') this.#state = 'stopping';
    this.#cancelRetry();
    this.#settleStart?.reject(notStarted());
    if (isAttemptInVain()) this.#attempt.abort();
    await this.#connecting;
    await close();
    this.#state = 'stopped';
  }

  async #connect(): Promise<void> {
    this.#attempt = new AbortController();
    try {
      await this.#options.connect(this.#attempt.signal);
    } catch (caught) {
      await this.#failed(toCoPilotError(caught));
    }
    if (this.#state === 'started' && !this.#options.isConnected()) this.retryLater();
  }

  async #failed(error: CoPilotError): Promise<void> {
    const { log, refused } = this.#options;
    if (this.#state !== 'started') return;
    log.warn({ errorCode: error.code, reason: error.message }, 'no connection to the bus');
    if (!this.#isRefusal(error)) return;
    if (refused !== undefined) await this.#mend(refused());
    // A wrong secret does not become right by asking again.
    else if (this.#settleStart !== undefined) {
      this.#state = 'stopped';
      this.#settleStart.reject(error);
      this.#settleStart = undefined;
    }
  }

  #isRefusal(error: CoPilotError): boolean {
    if (error.code === 'NOT_AUTHORIZED' || error.code === 'NOT_FOUND') return true;
    return this.#options.isRefusal?.(error) ?? false;
  }

  async #mend(mending: Promise<void>): Promise<void> {
    const { promise: stopped, resolve } = Promise.withResolvers<undefined>();
    const stop = (): void => resolve(undefined);
    this.#attempt.signal.addEventListener('abort', stop, { once: true });
    const mended = mending.catch((caught: unknown) => {
      const { code } = toCoPilotError(caught);
      this.#options.log.warn({ errorCode: code }, 'the login could not be renewed; trying again');
    });
    await Promise.race([mended, stopped]);
    this.#attempt.signal.removeEventListener('abort', stop);
  }
}

export function notStarted(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'this port is not started, or has stopped');
}

export function outboxFull(): CoPilotError {
  return new CoPilotError('BUS_CLOSED', 'the bus takes no frames now, and as many wait as may');
}

/** Frames that wait for a connection; beyond, a send fails. */
export const OUTBOX_FRAMES = 64;
