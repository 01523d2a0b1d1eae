/** What a side of sessions has seen, since it was made; nothing of it is answered to the outside. */
export interface SessionCounters {
  /** Frames that are no frames of this protocol, or of a kind this side never takes. */
  malformed: number;
  /** Handshakes refused before any cryptography, by address. */
  rateLimited: number;
  /** Handshakes refused because too many are half-open, at one address or in all. */
  halfOpenFull: number;
  /** Handshake messages that did not verify. */
  failedHandshakes: number;
  /** Handshakes whose identity or certificate was refused. */
  refusedIdentities: number;
  /** Handshakes refused because there are as many sessions as may be. */
  sessionsFull: number;
  /** Sessions confirmed. */
  opened: number;
  /** Frames whose tag did not verify. */
  forged: number;
  /** Frames seen before or too far behind. */
  replayed: number;
  /** Frames that verified and whose content is unknown here. */
  unknownContent: number;
  /** Frames for a session that does not exist. */
  unknownSession: number;
  /** Hints sent (responder) or believed (initiator). */
  hints: number;
}

export function createCounters(): SessionCounters {
  return {
    malformed: 0,
    rateLimited: 0,
    halfOpenFull: 0,
    failedHandshakes: 0,
    refusedIdentities: 0,
    sessionsFull: 0,
    opened: 0,
    forged: 0,
    replayed: 0,
    unknownContent: 0,
    unknownSession: 0,
    hints: 0,
  };
}
