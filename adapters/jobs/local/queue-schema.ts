/** Marks the file as a Co-Pilot local queue (`PRAGMA application_id`): "CPLQ". */
export const QUEUE_APPLICATION_ID = 0x43504c51;

/**
 * Each entry brings a queue from the version of its index to the next (`PRAGMA user_version`); released ones never change. Descriptions
 * lie apart so that a change of state does not rewrite them; the tally is kept by triggers, so that counting a campaign never reads
 * its jobs.
 */
export const QUEUE_MIGRATIONS: readonly string[] = [
  `
CREATE TABLE job (
  seq INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  queue TEXT NOT NULL,
  campaign TEXT NOT NULL,
  owner TEXT NOT NULL,
  label TEXT NOT NULL,
  priority INTEGER NOT NULL,
  retries INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending','handed','accepted','running','finished','failed','cancelled')),
  attempt INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  agent TEXT NOT NULL,
  progress REAL NOT NULL,
  cancelling INTEGER NOT NULL CHECK (cancelling IN (0, 1)),
  reason TEXT NOT NULL,
  handed_opening INTEGER NOT NULL DEFAULT 0,
  handed_ms INTEGER NOT NULL DEFAULT 0,
  submitted_ms INTEGER NOT NULL,
  changed_ms INTEGER NOT NULL,
  retry_of TEXT NOT NULL DEFAULT '',
  retried_as TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX job_pending ON job (queue, owner, priority DESC, campaign, seq) WHERE state = 'pending';
CREATE INDEX job_handed ON job (queue, handed_opening, handed_ms) WHERE state = 'handed';
CREATE INDEX job_cancelling ON job (seq) WHERE cancelling = 1;
CREATE INDEX job_state ON job (state, seq);
CREATE INDEX job_campaign ON job (campaign, seq);
CREATE INDEX job_campaign_state ON job (campaign, state, seq);

CREATE TABLE description (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE result (seq INTEGER PRIMARY KEY, attempt INTEGER NOT NULL, manifest TEXT NOT NULL, usage TEXT NOT NULL) STRICT;
CREATE TABLE failure (
  seq INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  reason TEXT NOT NULL,
  log_tail TEXT NOT NULL,
  PRIMARY KEY (seq, attempt)
) STRICT, WITHOUT ROWID;
CREATE TABLE submission (
  key TEXT PRIMARY KEY,
  digest TEXT NOT NULL,
  first_seq INTEGER NOT NULL,
  count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE opening (number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE tally (
  scope TEXT NOT NULL,
  name TEXT NOT NULL,
  state TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (scope, name, state)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER job_added AFTER INSERT ON job BEGIN
  INSERT INTO tally VALUES ('campaign', new.campaign, new.state, 1), ('queue', new.queue, new.state, 1), ('all', '', 'jobs', 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_moved AFTER UPDATE OF state ON job WHEN old.state <> new.state BEGIN
  UPDATE tally SET count = count - 1 WHERE scope = 'campaign' AND name = old.campaign AND state = old.state;
  UPDATE tally SET count = count - 1 WHERE scope = 'queue' AND name = old.queue AND state = old.state;
  INSERT INTO tally VALUES ('campaign', new.campaign, new.state, 1), ('queue', new.queue, new.state, 1)
    ON CONFLICT DO UPDATE SET count = count + 1;
END;
CREATE TRIGGER job_retried AFTER UPDATE OF retried_as ON job WHEN old.retried_as = '' AND new.retried_as <> '' BEGIN
  UPDATE tally SET count = count - 1 WHERE scope = 'campaign' AND name = old.campaign AND state = old.state;
  INSERT INTO tally VALUES ('campaign', new.campaign, 'retried', 1) ON CONFLICT DO UPDATE SET count = count + 1;
END;
`,
  // Owners and campaigns take turns: jobs that wait are found by whose they are.
  `
DROP INDEX job_pending;
CREATE INDEX job_pending ON job (queue, owner, priority DESC, campaign, seq) WHERE state = 'pending';
`,
  `
CREATE TABLE paused (campaign TEXT PRIMARY KEY, since_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- A paused campaign's jobs are not among those that wait: whoever looks for the next one never meets them.
ALTER TABLE job ADD COLUMN held INTEGER NOT NULL DEFAULT 0 CHECK (held IN (0, 1));
DROP INDEX job_pending;
CREATE INDEX job_pending ON job (queue, owner, priority DESC, campaign, seq) WHERE state = 'pending' AND held = 0;
`,
];

const JOB_COLUMNS = `seq, id, queue, campaign, owner, label, priority, retries, state, attempt, ended, agent, progress,
  cancelling, reason, submitted_ms, changed_ms, retry_of, retried_as`;

const PAGE = `SELECT ${JOB_COLUMNS} FROM job`;

/** Every statement of the running queue, by name; a test holds each to its index. */
export const QUEUE_SQL = {
  insertJob: `INSERT INTO job (id, queue, campaign, owner, label, priority, retries, state, attempt, ended, agent, progress,
    cancelling, reason, submitted_ms, changed_ms, retry_of, held)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', 0, 0, '', 0, 0, '', ?8, ?8, ?9,
      EXISTS (SELECT 1 FROM paused WHERE campaign = ?3))`,
  insertDescription: 'INSERT INTO description VALUES (?, ?)',
  insertSubmission: 'INSERT INTO submission VALUES (?, ?, ?, ?)',
  submission: 'SELECT digest, first_seq, count FROM submission WHERE key = ?',
  submitted: 'SELECT id FROM job WHERE seq >= ? AND seq < ? ORDER BY seq',
  updateJob: `UPDATE job SET state = ?2, attempt = ?3, ended = ?4, agent = ?5, progress = ?6, cancelling = ?7, reason = ?8,
    changed_ms = ?9 WHERE seq = ?1`,
  hand: "UPDATE job SET state = 'handed', handed_opening = ?2, handed_ms = ?3, changed_ms = ?4 WHERE seq = ?1",
  retried: 'UPDATE job SET retried_as = ?2 WHERE seq = ?1',
  jobById: `SELECT ${JOB_COLUMNS} FROM job WHERE id = ?`,
  description: 'SELECT body FROM description WHERE seq = ?',
  result: 'SELECT attempt, manifest, usage FROM result WHERE seq = ?',
  insertResult: 'INSERT INTO result VALUES (?, ?, ?, ?)',
  failures: 'SELECT attempt, reason, log_tail FROM failure WHERE seq = ? ORDER BY attempt',
  putFailure: `INSERT INTO failure VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT DO UPDATE SET reason = ?3, log_tail = CASE WHEN ?4 = '' THEN log_tail ELSE ?4 END`,
  dropOldFailures: `DELETE FROM failure WHERE seq = ?1 AND attempt <= (
    SELECT attempt FROM failure WHERE seq = ?1 ORDER BY attempt DESC LIMIT 1 OFFSET ?2)`,
  overdue: `SELECT ${JOB_COLUMNS} FROM job WHERE state = 'handed' AND queue = ?1 AND (handed_opening, handed_ms) <= (?2, ?3)
     AND held = 0 ORDER BY handed_opening, handed_ms LIMIT ?4`,
  ownerAfter: `SELECT owner FROM job WHERE state = 'pending' AND held = 0 AND queue = ?1 AND owner > ?2 ORDER BY owner LIMIT 1`,
  topPriority: `SELECT priority FROM job WHERE state = 'pending' AND held = 0 AND queue = ?1 AND owner = ?2
    ORDER BY priority DESC LIMIT 1`,
  campaignAfter: `SELECT campaign FROM job WHERE state = 'pending' AND held = 0 AND queue = ?1 AND owner = ?2 AND priority = ?3
    AND campaign > ?4 ORDER BY campaign LIMIT 1`,
  oldestPending: `SELECT ${JOB_COLUMNS} FROM job WHERE state = 'pending' AND held = 0 AND queue = ?1 AND owner = ?2 AND priority = ?3
    AND campaign = ?4 ORDER BY seq LIMIT 1`,
  cancelling: 'SELECT id, reason FROM job WHERE cancelling = 1 AND seq > ?1 ORDER BY seq LIMIT ?2',
  tally: 'SELECT state, count FROM tally WHERE scope = ?1 AND name = ?2',
  waitingQueues: `SELECT name, sum(count) AS count FROM tally
    WHERE scope = 'queue' AND state IN ('pending', 'handed') AND count > 0 GROUP BY name`,
  dropJob: 'DELETE FROM job WHERE seq = ?',
  dropDescription: 'DELETE FROM description WHERE seq = ?',
  dropResult: 'DELETE FROM result WHERE seq = ?',
  dropFailures: 'DELETE FROM failure WHERE seq = ?',
  submissionPage: 'SELECT key, first_seq, count FROM submission WHERE key > ? ORDER BY key LIMIT ?',
  dropSubmission: 'DELETE FROM submission WHERE key = ?',
  dropTally: 'DELETE FROM tally WHERE scope = ? AND name = ?',
  untally: 'UPDATE tally SET count = count - 1 WHERE scope = ? AND name = ? AND state = ?',
  states: "SELECT state, count FROM tally WHERE scope = 'queue'",
  names: 'SELECT DISTINCT name FROM tally WHERE scope = ?1 AND name > ?2 ORDER BY name LIMIT ?3',
  firstOfCampaign: `${PAGE} WHERE campaign = ?1 ORDER BY seq LIMIT 1`,
  firstPending: `${PAGE} WHERE state = 'pending' AND campaign = ?1 ORDER BY seq LIMIT 1`,
  oldestWaiting: `SELECT submitted_ms FROM job INDEXED BY job_state WHERE state = 'pending' AND queue = ?1 ORDER BY seq LIMIT 1`,
  pause: 'INSERT INTO paused VALUES (?1, ?2) ON CONFLICT DO NOTHING',
  resume: 'DELETE FROM paused WHERE campaign = ?1',
  hold: `UPDATE job SET held = ?2 WHERE seq IN (
    SELECT seq FROM job WHERE campaign = ?1 AND state IN ('pending', 'handed') AND held <> ?2 LIMIT ?3)`,
  nextPaused: 'SELECT campaign FROM paused WHERE campaign > ?1 ORDER BY campaign LIMIT 1',
  paused: 'SELECT since_ms FROM paused WHERE campaign = ?1',
  page: `${PAGE} WHERE seq > ?1 ORDER BY seq LIMIT ?2`,
  pageOfState: `${PAGE} WHERE state = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2`,
  pageOfCampaign: `${PAGE} WHERE campaign = ?3 AND seq > ?1 ORDER BY seq LIMIT ?2`,
  pageOfCampaignAndState: `${PAGE} WHERE campaign = ?3 AND state = ?4 AND seq > ?1 ORDER BY seq LIMIT ?2`,
} as const;

export type QueueStatement = keyof typeof QUEUE_SQL;
