import { toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Clock, Log } from '../../protocol/runtime/runtime.ts';
import type { JobRow } from '../core/state.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { News } from '../ledger/news.ts';

export interface NewsReaderOptions {
  readonly ledger: Pick<Ledger, 'job'>;
  readonly clock: Clock;
  readonly log: Log;
  /** A job waits that another broker made available. */
  readonly queued: (job: JobRow) => void;
  /** Looks for jobs and duties in the whole ledger. */
  readonly lookAgain: () => Promise<void>;
}

/** Jobs named by others that are looked at one after the other; at the bound the whole ledger is looked at instead. */
const MAX_NAMED = 10_000;

const RETRY_MS = 5_000;

/** Keeps what this broker knows up with what other brokers do to the shared ledger. */
export interface NewsReader {
  /** News are hints: each row is read before anything is made of it. */
  heard(news: News): void;
  stop(): void;
}

export function createNewsReader(options: NewsReaderOptions): NewsReader {
  const { ledger, clock, log, queued, lookAgain } = options;
  const named = new Set<string>();
  let isMissed = false;
  let isReading = false;
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  async function read(): Promise<void> {
    while (!isStopped && (isMissed || named.size > 0)) {
      if (isMissed) await readAll();
      else await readNext();
    }
  }

  async function readAll(): Promise<void> {
    isMissed = false;
    named.clear();
    await lookAgain();
  }

  async function readNext(): Promise<void> {
    const [id] = named;
    if (id === undefined) return;
    named.delete(id);
    const stored = await ledger.job(id);
    if (stored?.job.state === 'queued') queued(stored.job);
  }

  function start(): void {
    if (isReading || isStopped) return;
    isReading = true;
    read().then(
      () => {
        isReading = false;
      },
      (caught: unknown) => {
        log.warn({ errorCode: toCoPilotError(caught).code }, 'news of the ledger could not be followed');
        isReading = false;
        isMissed = true;
        cancel = clock.schedule(RETRY_MS, start);
      },
    );
  }

  return {
    heard(news) {
      if (news.kind === 'missed' || named.size + news.jobs.length > MAX_NAMED) isMissed = true;
      else for (const id of news.jobs) named.add(id);
      start();
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
