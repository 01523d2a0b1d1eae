import { open } from 'node:fs/promises';

/** What a user of this machine is called as an owner of jobs. */
export type OwnerOf = (uid: number) => Promise<string>;

const PASSWD = '/etc/passwd';
const MAX_BYTES = 1024 * 1024;
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

/** Names from the system's list of users; `uid1234` for one that is not there or is no name in the protocol. */
export function systemOwners(path = PASSWD): OwnerOf {
  return async (uid) => {
    const name = (await readList(path))
      .split('\n')
      .map((line) => line.split(':'))
      .find((fields) => fields[2] === String(uid))?.[0];
    // Never bent to fit: two users must not become one owner.
    return name !== undefined && NAME.test(name) && !/^uid\d+$/.test(name) ? name : `uid${uid}`;
  };
}

async function readList(path: string): Promise<string> {
  try {
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } catch {
    return ''; // a machine without such a list: numbers are names enough
  }
}
