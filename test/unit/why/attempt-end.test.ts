import { describe, expect, it } from 'vitest';
import type { Attempt } from '../../../broker/core/state.ts';
import { endOf } from '../../../cli/why/attempt-end.ts';
import { accept, createWorld, expire, hello, lease, release, renew } from '../lease-machine/world.ts';

/** The last attempt of a job that went through these events, decided by the lease machine itself. */
function lastAttempt(end: (world: ReturnType<typeof createWorld>) => void): Attempt {
  const world = createWorld();
  world.do(hello('a'));
  world.do(accept('j'));
  world.do(lease('a', 'j', 1));
  end(world);
  return world.job('j').attempts.at(-1)!;
}

describe('how an attempt ended', () => {
  it('is known from the words of the lease machine', () => {
    const ends = [
      lastAttempt((world) => world.do(release('a', 'j', 1, 2))),
      lastAttempt((world) => world.do({ kind: 'revoke', agent: 'a', reason: 'stolen' })),
      lastAttempt((world) => {
        world.advance(1e9);
        world.do(expire('j'));
      }),
      lastAttempt((world) => {
        world.do(renew('a', 'j', 1));
        world.advance(1e9);
        world.do(expire('j'));
      }),
    ];
    expect(ends.map((attempt) => endOf(attempt).cause)).toEqual([
      'released',
      'agent-revoked',
      'never-renewed',
      'lease-lost',
    ]);
  });

  it.each([
    ['an input could not be fetched: DIGEST_MISMATCH: other bytes', 'input-corrupt'],
    ['an input could not be fetched: UNREACHABLE: nobody', 'input-unavailable'],
    ['the declared output a.txt is missing', 'missing-output'],
    ['the declared output a.txt is a symbolic link', 'unusable-output'],
    ['the declared outputs together are over the disk limit of the job', 'unusable-output'],
    ['the job did not start: no such file', 'payload-not-started'],
  ])('%s: %s', (reason, cause) => {
    expect(endOf({ exit: { kind: 'failed', reason }, reason: '' }).cause).toBe(cause);
  });

  it('is unexplained where nobody wrote such words', () => {
    expect(endOf({ exit: null, reason: 'something new' }).cause).toBe('unexplained');
  });
});
