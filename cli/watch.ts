import { setTimeout as sleep } from 'node:timers/promises';
import { CoPilotError } from '../protocol/errors.ts';
import type { Output } from './command-line.ts';
import type { ControlClient } from './control-client.ts';
import type { DisplayStream } from './display/display.ts';
import { createScreen, isTerminal } from './display/screen.ts';
import { type Listing, listingLines } from './listing.ts';

/** At most five pictures a second. */
const LEAST_MS = 200;
/** What no event tells of is seen so late. */
const MOST_MS = 5_000;
const ASKED_MS = 2_000;

export interface Watched<T extends object> {
  readonly look: () => Promise<Listing<T>>;
  /** Yields at once, and whenever it is worth another look. */
  readonly changes: (signal: AbortSignal) => AsyncGenerator<void>;
  /** Nothing will change any more. */
  readonly isOver?: (items: readonly T[]) => boolean;
}

/**
 * Shows a listing whenever it changed, until the signal aborts or it is over: on a terminal in place, elsewhere the lines that are
 * new, with `--jsonl` the things that changed.
 */
export async function watch<T extends object>(
  output: Output,
  stream: DisplayStream,
  watched: Watched<T>,
  signal: AbortSignal,
): Promise<void> {
  if (output.json && !output.jsonl)
    throw new CoPilotError('INVALID_REQUEST', '--watch has no one document; take --jsonl with it');
  const present = presenter<T>(output, stream);
  const changes = watched.changes(signal);
  try {
    while ((await changes.next()).done !== true) {
      const listing = await watched.look();
      present(listing);
      if (watched.isOver?.(listing.items) === true) return;
    }
  } finally {
    await changes.return(undefined);
  }
}

function presenter<T extends object>(output: Output, stream: DisplayStream): (listing: Listing<T>) => void {
  if (output.jsonl) {
    const isNew = newness();
    return ({ items, key }) => {
      for (const item of items) {
        const line = JSON.stringify(item);
        if (isNew(key(item), line)) output.write(line);
      }
    };
  }
  if (isTerminal(stream, process.env)) {
    const screen = createScreen(stream);
    return (listing) => screen.show(listingLines(listing));
  }
  const isNew = newness();
  return (listing) => {
    for (const line of listingLines(listing)) if (isNew(line, line)) output.write(line);
  };
}

/** Remembers the last text of each key; what is listed is bounded, so is this. */
function newness(): (key: string, text: string) => boolean {
  const last = new Map<string, string>();
  return (key, text) => {
    if (last.get(key) === text) return false;
    last.set(key, text);
    return true;
  };
}

/** Looks worth taking while the queue tells of changes. */
export async function* queueChanges(
  queue: Pick<ControlClient, 'events'>,
  campaign: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<void> {
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const bell = createBell();
  const following = follow(queue, campaign, both, () => bell.ring());
  try {
    while (!signal.aborted) {
      yield;
      await pause(LEAST_MS, signal);
      await bell.wait(MOST_MS, signal);
    }
  } finally {
    stop.abort();
    await following;
  }
}

/** Where nobody tells of changes: a look every other second. */
export async function* regularly(signal: AbortSignal): AsyncGenerator<void> {
  while (!signal.aborted) {
    yield;
    await pause(ASKED_MS, signal);
  }
}

/** A stream that ends is opened again; whether the queue is gone for good, the next look tells. */
async function follow(
  queue: Pick<ControlClient, 'events'>,
  campaign: string | undefined,
  signal: AbortSignal,
  onChange: () => void,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const line of queue.events(campaign, signal)) if (line.kind !== 'alive') onChange();
    } catch (caught) {
      if (!(caught instanceof CoPilotError)) throw caught;
    }
    onChange();
    await pause(ASKED_MS, signal);
  }
}

interface Bell {
  ring(): void;
  /** Resolves when it rang since the last wait, or after so long. */
  wait(mostMs: number, signal: AbortSignal): Promise<void>;
}

function createBell(): Bell {
  let rang = false;
  let wake: () => void = () => undefined;
  return {
    ring() {
      rang = true;
      wake();
    },
    async wait(mostMs, signal) {
      const end = new AbortController();
      wake = () => end.abort();
      if (!rang) await pause(mostMs, AbortSignal.any([signal, end.signal]));
      rang = false;
    },
  };
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined); // cut short: the caller looks at its signal
}
