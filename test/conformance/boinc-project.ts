import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import type { BoincProject } from '../../broker/enrolment/boinc/boinc-project.ts';
import { BOINC_ROWS, weakAuthenticator } from '../doubles/boinc-tables.ts';

/** What every project promises that has the rows of `BOINC_ROWS`. */
export function boincProjectConformance(project: () => BoincProject): void {
  const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

  it('shows digests of what a user has, strong and weak, and when a ban ends', async () => {
    for (const id of [4711, 4712, 4713, 4714]) {
      const row = BOINC_ROWS.users.get(id)!;
      expect(await project().user(id)).toEqual({
        strong: digest(row.authenticator),
        weak: digest(weakAuthenticator(id, row)),
        banishedUntil: row.banishedUntil ?? 0,
      });
    }
  });

  it('knows nobody who is not there, and nobody whose authenticator is none', async () => {
    expect([await project().user(1), await project().user(4715)]).toEqual([undefined, undefined]);
  });

  it('shows hosts as they are', async () => {
    for (const [id, host] of BOINC_ROWS.hosts) expect(await project().host(id)).toEqual(host);
    expect(await project().host(1)).toBeUndefined();
  });
}
