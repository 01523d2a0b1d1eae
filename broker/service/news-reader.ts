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
  /** An agent should be looked at that another broker changed something about. */
  readonly concerned: (agent: string) => Promise<void>;
  /** Looks for jobs, duties and agents in the whole ledger. */
  readonly lookAgain: () => Promise<void>;
}

/** Jobs, and agents, named by others that are looked at one after the other; at the bound the whole ledger is looked at instead. */
const MAX_NAMED = 10_000;

const RETRY_MS = 5_000;

/** Keeps what this broker knows up with what other brokers do to the shared ledger. */
export interface NewsReader {
  /** News are hints: each row is read before anything is made of it. */
  heard(news: News): void;
  stop(): void;
}

export function createNewsReader(options: NewsReaderOptions): NewsReader {
  const { ledger, clock, log, queued, concerned, lookAgain } = options;
  const named = new Set<string>();
  const agents = new Set<string>();
  let isMissed = false;
  let isReading = false;
  let isStopped = false;
  let cancel: Cancel = () => undefined;

  async function read(): Promise<void> {
    while (!isStopped && (isMissed || agents.size > 0 || named.size > 0)) {
      if (isMissed) await readAll();
      else if (agents.size > 0) await lookAtNext();
      else await readNext();
    }
  }

  /** Before jobs: who is wanted no more should not wait behind them. */
  async function lookAtNext(): Promise<void> {
    const [id] = agents;
    if (id === undefined) return;
    agents.delete(id);
    await concerned(id);
  }

  async function readAll(): Promise<void> {
    isMissed = false;
    named.clear();
    agents.clear();
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

  function take(news: News): void {
    switch (news.kind) {
      case 'missed':
        isMissed = true;
        return;
      case 'queued':
        name(named, news.jobs);
        return;
      case 'agents':
        name(agents, news.agents);
    }
  }

  function name(set: Set<string>, ids: readonly string[]): void {
    if (set.size + ids.length > MAX_NAMED) isMissed = true;
    else for (const id of ids) set.add(id);
  }

  return {
    heard(news) {
      take(news);
      start();
    },
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
