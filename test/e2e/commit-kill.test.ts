import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { JobDetail } from '../../adapters/jobs/local/queued-job.ts';
import type { Role } from '../../cli/installation.ts';
import { leaksOnDisk, secretsOf } from './canaries.ts';
import { type FatalInstallation, openFatalInstallation } from './fatal-installation.ts';

interface Point {
  readonly step: number;
  readonly role: Role;
  readonly point: string;
}

function around(step: number, role: Role, done: string): readonly Point[] {
  return ['before', 'after'].map((when) => ({ step, role, point: `${when} ${done}` }));
}

/** Who dies where, step by step of the commit. */
const points: readonly Point[] = [
  ...around(1, 'broker', 'report'),
  ...around(2, 'bridge', 'verify'),
  ...around(3, 'broker', 'verified'),
  ...around(4, 'bridge', 'finalise'),
  ...around(5, 'broker', 'finalised'),
  ...around(6, 'local', 'finished'),
  ...around(6, 'broker', 'told'),
];

describe('whoever is killed in a commit', () => {
  let installation: FatalInstallation;
  const finished: JobDetail[] = [];

  beforeAll(async () => {
    installation = await openFatalInstallation();
  });

  afterAll(() => installation.remove());

  it.each(points)(
    'step $step: the $role is killed $point, and the job commits once all the same (I3, I4)',
    async ({ role, point }) => {
      const job = await installation.runOver(role, point);
      // Nothing that was done is lost: the attempt that was under way is the one that counts.
      expect(job).toMatchObject({
        failures: [],
        result: { attempt: 1, manifest: [{ name: 'result.txt' }] },
      });
      expect(await readFile(await installation.fetch(job), 'utf8')).toBe(`result of ${job.job}, attempt 1\n`);
      finished.push(job);
    },
  );

  it('ledger, bridge and framework say the same of every job, and no secret left its place (I3, I5, I10)', async () => {
    const ids = finished.map(({ job }) => job);
    expect(ids).toHaveLength(points.length);
    await installation.told(ids);
    const secrets = await secretsOf(installation.directory);
    await installation.stopRoles();
    const all = ids.length;
    expect(installation.prove(ids)).toEqual({
      jobs: all,
      committedOnce: all,
      attempts: all,
      lost: 0,
      faults: [],
    });
    expect(installation.registered()).toEqual(new Map(ids.map((id) => [id, [1]])));
    expect(await leaksOnDisk(installation.directory, secrets)).toEqual([]);
  });
});
