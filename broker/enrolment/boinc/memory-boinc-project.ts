import { createHash } from 'node:crypto';
import type { BoincHost, BoincProject, BoincUser } from './boinc-project.ts';

/** A user as BOINC's own table has it. */
export interface BoincAccountRow {
  readonly authenticator: string;
  readonly passwordHash: string;
  readonly banishedUntil?: number;
}

const AUTHENTICATOR = /^[0-9a-f]{32}$/;

/** A project's memory twin, over rows that may change. */
export function createMemoryBoincProject(
  users: ReadonlyMap<number, BoincAccountRow>,
  hosts: ReadonlyMap<number, BoincHost>,
): BoincProject {
  return {
    user: async (id) => digestsOf(id, users.get(id)),
    host: async (id) => hosts.get(id),
  };
}

function digestsOf(id: number, row: BoincAccountRow | undefined): BoincUser | undefined {
  if (row === undefined || !AUTHENTICATOR.test(row.authenticator)) return undefined;
  const { authenticator, passwordHash, banishedUntil = 0 } = row;
  const weak = `${id}_${digest('md5', authenticator + passwordHash)}`;
  return { strong: digest('sha256', authenticator), weak: digest('sha256', weak), banishedUntil };
}

function digest(algorithm: 'md5' | 'sha256', text: string): string {
  return createHash(algorithm).update(text).digest('hex');
}
