import type { Address } from '../bindings/bus.ts';
import { sameBytes, sessionKey } from './header.ts';

/** A handshake that was answered and not yet confirmed. */
export interface HalfOpen {
  /** The responder's session id. */
  readonly sessionId: Uint8Array;
  readonly from: Address;
  /** The hello as it came, and the answer as it went: the same hello gets the same answer. */
  readonly hello: Uint8Array;
  readonly answer: Uint8Array;
  readonly startedMs: number;
}

export interface HalfOpenLimits {
  readonly perAddress: number;
  readonly total: number;
  readonly lifetimeMs: number;
  /**
   * At the bound on all: where hellos are anonymous (XX) the oldest goes, or whoever opens enough connections locks everybody
   * out at little cost; where they can be replayed (IK) the newest is refused, so that a replay pushes out nothing.
   */
  readonly whenFull: 'drop-oldest' | 'refuse';
}

/** The responder's unconfirmed handshakes, bounded by address and in all. */
export class HalfOpenTable<T extends HalfOpen> {
  readonly #limits: HalfOpenLimits;
  /** In the order they were made, which is that in which they end. */
  readonly #byId = new Map<string, T>();
  readonly #byAddress = new Map<Address, Set<T>>();

  constructor(limits: HalfOpenLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Whether one more from this address may be added, and whether another had to go for it. */
  makeRoom(from: Address): 'free' | 'made' | 'refused' {
    const { perAddress, total, whenFull } = this.#limits;
    if ((this.#byAddress.get(from)?.size ?? 0) >= perAddress) return 'refused';
    if (this.#byId.size < total) return 'free';
    const oldest = this.#byId.values().next();
    if (whenFull === 'refuse' || oldest.done === true) return 'refused';
    this.remove(oldest.value);
    return 'made';
  }

  add(record: T): void {
    this.#byId.set(sessionKey(record.sessionId), record);
    const ofAddress = this.#byAddress.get(record.from);
    if (ofAddress === undefined) this.#byAddress.set(record.from, new Set([record]));
    else ofAddress.add(record);
  }

  find(sessionId: Uint8Array): T | undefined {
    return this.#byId.get(sessionKey(sessionId));
  }

  /** The record that the very same hello from this address made before. */
  findRepeat(from: Address, hello: Uint8Array): T | undefined {
    for (const record of this.#byAddress.get(from) ?? []) if (sameBytes(record.hello, hello)) return record;
    return undefined;
  }

  remove(record: T): void {
    this.#byId.delete(sessionKey(record.sessionId));
    const ofAddress = this.#byAddress.get(record.from);
    ofAddress?.delete(record);
    if (ofAddress?.size === 0) this.#byAddress.delete(record.from);
  }

  removeExpired(nowMs: number): void {
    for (const record of this.#byId.values()) {
      if (nowMs - record.startedMs < this.#limits.lifetimeMs) return;
      this.remove(record);
    }
  }

  removeAddress(from: Address): void {
    for (const record of this.#byAddress.get(from) ?? []) this.remove(record);
  }

  clear(): void {
    this.#byId.clear();
    this.#byAddress.clear();
  }
}
