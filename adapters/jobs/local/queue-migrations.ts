/**
 * What makes a queue of an older version one of the next: the first entry version 1 to 2, and so on. Each runs in the
 * transaction that opens the file.
 */
export const QUEUE_MIGRATIONS: readonly string[] = [
  // Owners and campaigns take turns: jobs that wait are found by whose they are.
  `DROP INDEX job_pending;
   CREATE INDEX job_pending ON job (queue, owner, priority DESC, campaign, seq) WHERE state = 'pending'`,
];
