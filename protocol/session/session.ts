import type { Address } from '../bindings/bus.ts';
import type { Transport } from './transport.ts';

/** A session as the responder's owner sees it; `P` is whatever `authenticate` found out about the other side. */
export interface Session<P> {
  /** This side's session id. */
  readonly id: Uint8Array;
  readonly principal: P;
  /** Where its last frame that verified came from, which is where answers go. */
  readonly address: Address;
  readonly state: 'open' | 'retiring' | 'closed';
  /** Seals and sends; false where the session has ended. Throws `FRAME_TOO_LARGE` above 32 KiB. */
  send(message: Uint8Array): boolean;
  /** A newer session takes its place: it receives (and may answer) for 30 s more. */
  retire(): void;
}

/** What a session needs of the responder that holds it. */
export interface SessionHost<P> {
  send(session: PeerSession<P>, message: Uint8Array): boolean;
  retireAtMs(): number;
}

/** The responder's record of one session; only the responder touches more than `Session` promises. */
export class PeerSession<P> implements Session<P> {
  readonly id: Uint8Array;
  readonly principal: P;
  readonly transport: Transport;
  address: Address;
  isClosed = false;
  /** Digest of the message 3 that opened it, until a frame shows that the other side knows. */
  proofDigest: Uint8Array | undefined;
  readonly #host: SessionHost<P>;
  #endsMs = Number.POSITIVE_INFINITY;

  constructor(host: SessionHost<P>, id: Uint8Array, principal: P, address: Address, transport: Transport) {
    this.#host = host;
    this.id = id;
    this.principal = principal;
    this.address = address;
    this.transport = transport;
  }

  get state(): 'open' | 'retiring' | 'closed' {
    if (this.isClosed) return 'closed';
    return this.#endsMs === Number.POSITIVE_INFINITY ? 'open' : 'retiring';
  }

  send(message: Uint8Array): boolean {
    return this.#host.send(this, message);
  }

  retire(): void {
    this.#endsMs = Math.min(this.#endsMs, this.#host.retireAtMs());
  }

  isOver(nowMs: number): boolean {
    return this.isClosed || nowMs >= this.#endsMs || this.transport.isOver(nowMs);
  }
}
