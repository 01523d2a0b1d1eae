/** One of several sessions that lead to the same party. */
export interface Way {
  /** Seals and sends; false where there is no session. */
  send(message: Uint8Array): boolean;
}

/**
 * All sessions with one party. What is said goes by the one by which something came last, so that an answer goes the way that
 * is known to work; by a near one for as long as that works.
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

/** `isNear`: with nothing in between that would cost time. */
export function createWays<W extends Way>(isNear: (way: W) => boolean = () => false): Ways<W> {
  /** The one to try first, then the others. */
  let ways: readonly W[] = [];

  /** Whether the present first one gives way to it. */
  const goesFirst = (way: W): boolean => isNear(way) || ways[0] === undefined || !isNear(ways[0]);

  return {
    add(way) {
      ways = goesFirst(way) ? [way, ...ways] : [...ways, way];
    },
    remove(way) {
      ways = ways.filter((other) => other !== way);
    },
    heard(way) {
      if (ways[0] !== way && ways.includes(way) && goesFirst(way))
        ways = [way, ...ways.filter((other) => other !== way)];
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
