import type { Writable } from 'node:stream';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Cancel, Clock } from '../../../protocol/runtime/runtime.ts';
import type { LocalQueue } from './local-queue.ts';
import type { JobChange } from './queued-job.ts';

/** One line of the stream. After `lagged` the stream ends: the reader was too slow and asks for the counts anew. */
export type StreamLine =
  | { readonly kind: 'open' }
  | ({ readonly kind: 'change' } & JobChange)
  | { readonly kind: 'alive' }
  | { readonly kind: 'lagged' };

/** A line comes at least this often, so that a reader notices a dead queue. */
const ALIVE_MS = 10_000;

/** Most followers at once; more are refused with `QUEUE_UNAVAILABLE`. */
const MAX_FOLLOWERS = 64;

/** Most bytes that wait for a slow reader. */
const MAX_UNREAD_BYTES = 1024 * 1024;

/** Who follows the changes of the queue. */
export interface EventStream {
  /** Writes lines to `out` until it closes. Throws `QUEUE_UNAVAILABLE` where too many follow already. */
  follow(out: Writable, campaign: string | undefined): void;
  /** Ends every follower's stream. */
  stop(): void;
}

export function createEventStream(queue: LocalQueue, clock: Clock): EventStream {
  const followers = new Set<Writable>();
  let alive: Cancel | undefined;

  const say = (out: Writable, line: StreamLine): void => {
    if (out.destroyed || out.writableEnded) return;
    if (out.writableLength < MAX_UNREAD_BYTES) out.write(`${JSON.stringify(line)}\n`);
    else out.end(`${JSON.stringify({ kind: 'lagged' } satisfies StreamLine)}\n`);
  };
  const beat = (): void => {
    for (const out of followers) say(out, { kind: 'alive' });
    alive = followers.size > 0 ? clock.schedule(ALIVE_MS, beat) : undefined;
  };

  return {
    follow(out, campaign) {
      if (followers.size >= MAX_FOLLOWERS) {
        throw new CoPilotError(
          'QUEUE_UNAVAILABLE',
          `at most ${MAX_FOLLOWERS} programs follow the queue at once`,
        );
      }
      const stopChanges = queue.onChange((changes) => {
        for (const change of changes) {
          if (campaign === undefined || change.campaign === campaign) say(out, { kind: 'change', ...change });
        }
      });
      followers.add(out);
      out.once('close', () => {
        stopChanges();
        followers.delete(out);
        if (followers.size > 0) return;
        alive?.();
        alive = undefined;
      });
      alive ??= clock.schedule(ALIVE_MS, beat);
      say(out, { kind: 'open' });
    },
    stop() {
      for (const out of followers) out.end();
    },
  };
}
