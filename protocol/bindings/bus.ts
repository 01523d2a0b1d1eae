/** Where a frame goes or came from, in the words of one bus: opaque, printable ASCII, at most 200 characters. */
export type Address = string;

/** The address every binding gives the broker's shared entrance. */
export const BROKER_ADDRESS: Address = 'broker';

/** Largest frame a binding carries: 32 KiB of plaintext, its kind byte, the outer header and the tag. */
export const MAX_FRAME_BYTES = 32 * 1024 + 64;

/**
 * Carries opaque frames between named parties: at-least-once, unordered, unauthenticated for us.
 * Who sent a frame is what the session above proves; `from` serves answering and rate limits only.
 */
export interface Bus {
  /** Connects and keeps reconnecting with jitter until `stop`; resolves at the first connection. Idempotent. */
  start(): Promise<void>;
  /**
   * Resolves when the bus has taken the frame, which is no promise of delivery. Rejects with `FRAME_TOO_LARGE`,
   * `BUS_CLOSED` (not started, stopped, or the outbox is full while disconnected) or `UNREACHABLE` (nobody has that address).
   */
  send(to: Address, frame: Uint8Array): Promise<void>;
  /** One handler, set before `start`. While more frames are being handled than the binding's bound, it reads no further. */
  onFrame(handler: FrameHandler): void;
  /**
   * Tells that a connection was lost or made: sessions do not outlive the connection they were made on. Where several buses are
   * joined to one, `door` says which.
   */
  onConnection(handler: ConnectionHandler): void;
  /** Tells that the peer at an address is gone (its connection closed), where the bus can know. */
  onGone(handler: (address: Address) => void): void;
  /** Finishes handlers that run, then releases sockets and timers. Idempotent. */
  stop(): Promise<void>;
}

export type ConnectionHandler = (state: 'up' | 'down', door?: string) => void;

export type FrameHandler = (from: Address, frame: Uint8Array) => void | Promise<void>;
