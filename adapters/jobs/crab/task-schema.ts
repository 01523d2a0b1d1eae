/** Marks the file as ours. */
export const TASKS_APPLICATION_ID = 0x43_52_41_42;

/** Steps from an empty file to this version. */
export const TASKS_MIGRATIONS: readonly string[] = [
  `CREATE TABLE task (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     task TEXT NOT NULL,
     sandbox_sha256 TEXT NOT NULL,
     sandbox_size INTEGER NOT NULL,
     started_s INTEGER NOT NULL,
     is_active INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE job (
     id TEXT PRIMARY KEY,
     task INTEGER NOT NULL REFERENCES task (id) ON DELETE CASCADE,
     number INTEGER NOT NULL,
     retry INTEGER NOT NULL,
     priority INTEGER NOT NULL,
     state TEXT NOT NULL,
     due_ms INTEGER NOT NULL DEFAULT 0,
     is_accepted INTEGER NOT NULL DEFAULT 0,
     is_unwanted INTEGER NOT NULL DEFAULT 0,
     is_current INTEGER NOT NULL DEFAULT 1,
     attempt INTEGER NOT NULL DEFAULT 0,
     wall_s INTEGER NOT NULL,
     memory_mib INTEGER NOT NULL,
     told_s INTEGER NOT NULL DEFAULT 0,
     submit_s INTEGER NOT NULL DEFAULT 0,
     start_s INTEGER NOT NULL DEFAULT 0,
     end_s INTEGER NOT NULL DEFAULT 0,
     restarts INTEGER NOT NULL DEFAULT 0,
     code INTEGER NOT NULL DEFAULT 0,
     message TEXT NOT NULL DEFAULT ''
   ) STRICT, WITHOUT ROWID;
   CREATE UNIQUE INDEX job_of_task ON job (task, number, retry);
   CREATE INDEX job_waiting ON job (priority DESC, number, task) WHERE is_accepted = 0 AND state IN ('unsubmitted', 'cooloff', 'idle');
   CREATE INDEX job_with_broker ON job (id) WHERE state IN ('idle', 'running');
   CREATE INDEX job_unfinished ON job (task) WHERE is_current = 1 AND state NOT IN ('finished', 'failed', 'killed');
   CREATE INDEX job_unwanted ON job (id) WHERE is_unwanted = 1;
   CREATE INDEX job_moving ON job (task) WHERE state = 'transferring';`,
  'ALTER TABLE job ADD COLUMN events INTEGER NOT NULL DEFAULT 0;',
];
