import type { WaitingIndex } from './turns.ts';

interface Belongs {
  readonly owner: string;
  readonly campaign: string;
  readonly priority: number;
}

/** An index over jobs in memory, oldest first; each that was taken is named by `drop`. */
export interface MemoryIndex<Job> extends WaitingIndex<Job> {
  drop(job: Job): void;
}

export function indexJobs<Job extends object>(
  jobs: readonly Job[],
  belongs: (job: Job) => Belongs,
): MemoryIndex<Job> {
  const left = new Set(jobs);
  const byOwner = Map.groupBy(jobs, (job) => belongs(job).owner);
  const waitingOf = (owner: string): readonly Job[] =>
    (byOwner.get(owner) ?? []).filter((job) => left.has(job));
  const ofPriority = (owner: string, priority: number): readonly Job[] =>
    waitingOf(owner).filter((job) => belongs(job).priority === priority);
  return {
    ownerAfter: (after) =>
      firstAfter(
        [...byOwner.keys()].filter((owner) => waitingOf(owner).length > 0),
        after,
      ),
    topPriority(owner) {
      const priorities = waitingOf(owner).map((job) => belongs(job).priority);
      return priorities.length === 0 ? undefined : priorities.reduce((a, b) => Math.max(a, b));
    },
    campaignAfter: (owner, priority, after) =>
      firstAfter(
        ofPriority(owner, priority).map((job) => belongs(job).campaign),
        after,
      ),
    oldest: (owner, priority, campaign) =>
      ofPriority(owner, priority).find((job) => belongs(job).campaign === campaign),
    drop: (job) => void left.delete(job),
  };
}

function firstAfter(names: readonly string[], after: string): string | undefined {
  return names.filter((name) => name > after).sort()[0];
}
