import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry, KeptLease, Store } from '../../agent/store/store.ts';
import type { Attempt, Output } from '../../protocol/generated/types.ts';

/** One agent's store with the hands of its jobs; what was saved outlives the handles opened on it. */
export interface AgentStoreUnderTest {
  /** Opens the store: a new one the first time, as it was left later. */
  open(): Promise<Store>;
  /** What the job of the attempt leaves in its directory. */
  leave(store: Store, attempt: Attempt, name: string, bytes: Uint8Array): Promise<void>;
  /** What the job says of its progress. */
  say(store: Store, attempt: Attempt, progress: string): Promise<void>;
  /** The attempt's entry can no longer be read. */
  damage(attempt: Attempt): Promise<void>;
  /** The next save of the attempt fails as on a full disk. */
  failNextSave(attempt: Attempt): Promise<void>;
  dispose(): Promise<void>;
}

const first: Attempt = { job: 'a'.repeat(26), attempt: 1 };
const second: Attempt = { job: 'a'.repeat(26), attempt: 2 };
const other: Attempt = { job: 'b'.repeat(26), attempt: 1 };
const bytes = new TextEncoder().encode('what the job made');
const sha256 = createHash('sha256').update(bytes).digest('hex');

function leaseOf(attempt: Attempt): KeptLease {
  return {
    ...attempt,
    queue: 'local',
    leaseSeconds: 900,
    firstRenewSeconds: 60,
    description: {
      command: 'work',
      arguments: ['--gently', '"; rm -rf /', 'ünïcode 🎲'],
      environment: { SEED: '7' },
      inputs: [{ name: 'card', size: 1, sha256 }],
      outputs: [{ name: 'out' }],
      limits: { wallSeconds: 3600, memoryMiB: 64, diskMiB: 64 },
      requirements: '',
    },
  };
}

const leased = (attempt: Attempt): Entry => ({ phase: 'leased', lease: leaseOf(attempt) });
const ended = (attempt: Attempt): Entry => ({
  phase: 'ended',
  lease: leaseOf(attempt),
  ending: {
    exit: { kind: 'exited', code: 0 },
    manifest: [{ name: 'out', size: bytes.length, sha256 }],
    usage: { wallSeconds: 1, cpuSeconds: 1, memoryMiB: 1, diskMiB: 1 },
    logTail: 'done\n\ttwice',
  },
});

/** `holdsFiles`: whether workplaces hold real files; without, names are not judged and a new place need not be emptied. */
export interface AgentStoreManifest {
  readonly holdsFiles: boolean;
}

/** What every agent store promises (agent/store/store.ts). */
export function agentStoreConformance(
  name: string,
  manifest: AgentStoreManifest,
  create: () => AgentStoreUnderTest,
): void {
  describe(`agent store contract: ${name}`, () => {
    let subject: AgentStoreUnderTest;
    let store: Store;

    beforeEach(async () => {
      subject = create();
      store = await subject.open();
    });
    afterEach(() => subject.dispose());

    const reopen = async (): Promise<void> => {
      store = await subject.open();
    };
    const journal = async (): Promise<readonly string[]> => {
      const { entries, corrupt } = await store.load();
      const whole = entries.map(({ phase, lease }) => `${phase} ${lease.job}.${lease.attempt}`);
      return [...whole, ...corrupt.map(({ job, attempt }) => `corrupt ${job}.${attempt}`)].sort();
    };
    const collect = (outputs: readonly Output[], maxBytes = 1_000, attempt = first) =>
      store.workplace(attempt).collect(outputs, maxBytes);

    it('is empty at first', async () => {
      expect(await store.load()).toEqual({ entries: [], corrupt: [] });
    });

    it('gives back what was saved last, whole, after a restart as well', async () => {
      await store.save(leased(first));
      await reopen();
      expect(await store.load()).toEqual({ entries: [leased(first)], corrupt: [] });
      await store.save(ended(first));
      await reopen();
      expect(await store.load()).toEqual({ entries: [ended(first)], corrupt: [] });
    });

    it('keeps attempts apart, of one job too, and removes one alone and for good', async () => {
      await store.save(leased(first));
      await store.save(ended(second));
      await store.save(leased(other));
      await store.remove(first);
      await store.remove(first);
      expect(await journal()).toEqual([`ended ${second.job}.2`, `leased ${other.job}.1`]);
      await reopen();
      expect(await journal()).toEqual([`ended ${second.job}.2`, `leased ${other.job}.1`]);
    });

    it('removes what was never there without a word', async () => {
      await expect(store.remove(first)).resolves.toBeUndefined();
    });

    it('takes many at once', async () => {
      const attempts = Array.from({ length: 20 }, (_, at) => ({ job: 'c'.repeat(26), attempt: at + 1 }));
      await Promise.all(attempts.map((attempt) => store.save(leased(attempt))));
      await Promise.all(attempts.slice(10).map((attempt) => store.remove(attempt)));
      await reopen();
      expect(await journal()).toHaveLength(10);
    });

    it('names an attempt whose entry cannot be read, reads the others, and lets it be removed', async () => {
      await store.save(leased(first));
      await store.save(leased(other));
      await subject.damage(first);
      await reopen();
      expect(await journal()).toEqual([`corrupt ${first.job}.1`, `leased ${other.job}.1`]);
      await store.remove(first);
      expect(await journal()).toEqual([`leased ${other.job}.1`]);
    });

    it('a save that fails is said, and leaves the entry before', async () => {
      await store.save(leased(first));
      await subject.failNextSave(first);
      await expect(store.save(ended(first))).rejects.toThrow();
      await reopen();
      expect(await store.load()).toEqual({ entries: [leased(first)], corrupt: [] });
    });

    it('a place has its paths for itself, the same after a restart', async () => {
      const { directory, stdoutFile, stderrFile, progressFile } = await store.prepare(first);
      const { directory: beside } = await store.prepare(second);
      const paths = [directory, stdoutFile, stderrFile, progressFile, beside];
      expect(new Set(paths).size).toBe(paths.length);
      expect(await store.workplace(first).place('dir/out')).toBe(`${directory}/dir/out`);
      const earlier = paths.slice(0, 4);
      const later = store.workplace(first);
      expect([later.directory, later.stdoutFile, later.stderrFile, later.progressFile]).toEqual(earlier);
    });

    it('collects what was declared and is there, with size and digest, in a later start too', async () => {
      await store.prepare(first);
      await subject.leave(store, first, 'out', bytes);
      await subject.leave(store, first, 'empty', new Uint8Array(0));
      await subject.leave(store, first, 'undeclared', bytes);
      await reopen();
      expect(await collect([{ name: 'out' }, { name: 'empty' }])).toMatchObject({
        kind: 'collected',
        files: [
          { name: 'out', size: bytes.length, sha256 },
          { name: 'empty', size: 0 },
        ],
      });
    });

    it('collects nothing where nothing is declared', async () => {
      await store.prepare(first);
      expect(await collect([])).toEqual({ kind: 'collected', files: [] });
    });

    it('leaves out an optional output that is missing, and says of any other that it is', async () => {
      await store.prepare(first);
      await subject.leave(store, first, 'out', bytes);
      expect(await collect([{ name: 'out' }, { name: 'log', optional: true }])).toMatchObject({
        kind: 'collected',
        files: [{ name: 'out' }],
      });
      expect(await collect([{ name: 'out' }, { name: 'log' }])).toMatchObject({
        kind: 'unusable',
        reason: expect.stringContaining('log'),
      });
    });

    it.each<[string, readonly Output[], number]>([
      ['its own bound', [{ name: 'out', maxBytes: bytes.length - 1 }], 1_000],
      ['its own bound, though optional', [{ name: 'out', maxBytes: 1, optional: true }], 1_000],
      ['the bound of all', [{ name: 'out' }], bytes.length - 1],
      ['the bound of all, with another', [{ name: 'out' }, { name: 'more' }], 2 * bytes.length - 1],
    ])('takes no output over %s', async (_what, outputs, maxBytes) => {
      await store.prepare(first);
      await subject.leave(store, first, 'out', bytes);
      await subject.leave(store, first, 'more', bytes);
      expect(await collect(outputs, maxBytes)).toMatchObject({ kind: 'unusable', reason: /./ });
      expect(await collect([{ name: 'out', maxBytes: bytes.length }, { name: 'more' }])).toMatchObject({
        kind: 'collected',
      });
    });

    it('says what the job says of its progress, and nothing where it says nothing', async () => {
      const place = await store.prepare(first);
      expect(await place.progress()).toBeUndefined();
      await subject.say(store, first, '0.25');
      expect(await place.progress()).toBe(0.25);
    });

    it('shows no more of a log than was asked for', async () => {
      const place = await store.prepare(first);
      expect((await place.logTail(10)).length).toBeLessThanOrEqual(10);
    });

    if (!manifest.holdsFiles) return;

    describe('with files', () => {
      it('prepares a place that holds nothing of an earlier time', async () => {
        await store.prepare(first);
        await subject.leave(store, first, 'out', bytes);
        await subject.say(store, first, '0.5');
        const place = await store.prepare(first);
        expect(await collect([{ name: 'out' }])).toMatchObject({ kind: 'unusable' });
        expect(await place.progress()).toBeUndefined();
      });

      it('removes the files with the entry', async () => {
        await store.save(leased(first));
        await store.prepare(first);
        await subject.leave(store, first, 'out', bytes);
        await store.remove(first);
        expect(await collect([{ name: 'out' }])).toMatchObject({ kind: 'unusable' });
      });

      it.each(['../out', '/etc/passwd', 'a/../../b', '', '.', 'a//b', 'a\0b', 'a\\b', 'x'.repeat(2_000)])(
        'I7 the name %j leaves the directory (MALFORMED_MESSAGE) or is refused as an output',
        async (wrong) => {
          const place = await store.prepare(first);
          await expect(place.place(wrong)).rejects.toMatchObject({ code: 'MALFORMED_MESSAGE' });
          expect(await collect([{ name: wrong, optional: true }])).toMatchObject({ kind: 'unusable' });
        },
      );
    });
  });
}
