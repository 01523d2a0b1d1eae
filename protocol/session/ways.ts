/** One of several sessions that lead to the same party. */
export interface Way {
  /** Seals and sends; false where there is no session. */
  send(message: Uint8Array): boolean;
}

/**
 * All sessions with one party. What is said goes by the one by which something came last, so that an answer goes the way that
 * is known to work.
 */
export interface Ways<W extends Way> {
  /** The newest is tried first. */
  add(way: W): void;
  remove(way: W): void;
  /** Something came this way. */
  heard(way: W): void;
  /** False where no way has a session. */
  send(message: Uint8Array): boolean;
  /** The present way seems dead: the next one is tried first from now on. */
  turn(): void;
  readonly all: readonly W[];
}

export function createWays<W extends Way>(): Ways<W> {
  /** The one to try first, then the others. */
  let ways: readonly W[] = [];

  return {
    add(way) {
      ways = [way, ...ways];
    },
    remove(way) {
      ways = ways.filter((other) => other !== way);
    },
    heard(way) {
      if (ways[0] !== way && ways.includes(way)) ways = [way, ...ways.filter((other) => other !== way)];
    },
    send: (message) => ways.some((way) => way.send(message)),
    turn() {
      ways = [...ways.slice(1), ...ways.slice(0, 1)];
    },
    get all() {
      return ways;
    },
  };
}
