import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Ceiling } from '../../adapters/storage/ceiling.ts';
import type { AttemptRef, StorageAdapter } from '../../adapters/storage/storage-adapter.ts';
import type { Capability, File, Grant } from '../../protocol/generated/types.ts';

/** One storage with the hands of an agent. */
export interface StorageFixture {
  readonly adapter: StorageAdapter;
  readonly ceiling: Ceiling;
  /** Thumbprint of the agent's key. */
  readonly jkt: string;
  /** Seconds of the adapter's wall clock. */
  nowSeconds(): number;
  /** What the agent does with a capability; rejects with storage's code. */
  upload(attempt: AttemptRef, capability: Capability, bytes: Uint8Array): Promise<void>;
  /** Stops the adapter and starts it again over the same storage. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

const JOB = 'c'.repeat(26);
const first = { job: JOB, attempt: 1 };
const second = { job: JOB, attempt: 2 };
const hello = new TextEncoder().encode('hello');
const world = new TextEncoder().encode('world, and more');

function fact(name: string, bytes: Uint8Array): File {
  return { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** What every storage adapter promises (the port `StorageAdapter`). */
export function storageConformance(name: string, open: () => Promise<StorageFixture>): void {
  describe(`storage adapter contract: ${name}`, () => {
    let fixture: StorageFixture;
    beforeEach(async () => {
      fixture = await open();
    });
    afterEach(() => fixture.close());

    const grant = (attempt: AttemptRef, names: readonly string[], change: Partial<Grant> = {}): Grant => ({
      iss: 'test',
      ...attempt,
      jkt: fixture.jkt,
      get: [],
      put: names.map((file) => ({ name: file, maxBytes: 1000 })),
      totalBytes: 2000,
      iat: fixture.nowSeconds(),
      exp: fixture.nowSeconds() + 600,
      ...change,
    });
    const capability = async (attempt: AttemptRef, file: string): Promise<Capability> => {
      const [minted] = await fixture.adapter.mint(grant(attempt, [file]));
      expect(minted).toMatchObject({ verb: 'put', name: file });
      return minted!;
    };
    const uploaded = async (attempt: AttemptRef, file: string, bytes: Uint8Array): Promise<File> => {
      await fixture.upload(attempt, await capability(attempt, file), bytes);
      return fact(file, bytes);
    };

    it('mints one capability per file of a grant, inputs first, each for the name it was asked for', async () => {
      const get = [{ name: 'card', size: 5, sha256: fact('card', hello).sha256 }];
      const minted = await fixture.adapter.mint(grant(first, ['out/a', 'b.csv'], { get }));
      expect(minted.map(({ verb, name: file }) => `${verb} ${file}`)).toEqual([
        'get card',
        'put out/a',
        'put b.csv',
      ]);
      expect(new Set(minted.map(({ token }) => token)).size).toBe(3);
    });

    it.each([
      [
        'a file larger than the ceiling',
        (over: Ceiling) => ({ put: [{ name: 'a', maxBytes: over.maxFileBytes + 1 }] }),
      ],
      ['an attempt larger than the ceiling', (over: Ceiling) => ({ totalBytes: over.maxAttemptBytes + 1 })],
      [
        'two files equal but for case',
        () => ({ put: ['a', 'A'].map((file) => ({ name: file, maxBytes: 1 })) }),
      ],
      [
        'a file that is a directory of another',
        () => ({ put: ['a', 'a/b'].map((file) => ({ name: file, maxBytes: 1 })) }),
      ],
      ['the same file twice', () => ({ put: ['a', 'a'].map((file) => ({ name: file, maxBytes: 1 })) })],
      ['a name that leaves its place', () => ({ put: [{ name: '../a', maxBytes: 1 }] })],
    ])('refuses a grant with %s (NOT_AUTHORIZED)', async (_what, change) => {
      const wish = { ...grant(first, ['a']), ...change(fixture.ceiling) };
      await expect(fixture.adapter.mint(wish)).rejects.toMatchObject({ code: 'NOT_AUTHORIZED' });
    });

    it('verifies by what it computed itself, as often as it is asked', async () => {
      const files = [await uploaded(first, 'a', hello), await uploaded(first, 'dir/b', world)];
      const verified = { kind: 'verified', files };
      await expect(fixture.adapter.verify(first, files)).resolves.toEqual(verified);
      await expect(fixture.adapter.verify(first, files)).resolves.toEqual(verified);
    });

    it('verifies an attempt without files', async () => {
      await expect(fixture.adapter.verify(first, [])).resolves.toEqual({ kind: 'verified', files: [] });
      await fixture.adapter.finalise(first, []);
    });

    it.each([
      ['a file that was not uploaded', () => [fact('a', hello), fact('missing', hello)]],
      ['another size', () => [{ ...fact('a', hello), size: 6 }]],
      ['a huge size', () => [{ ...fact('a', hello), size: 2 ** 40 }]],
      ['another digest', () => [{ ...fact('a', hello), sha256: '0'.repeat(64) }]],
      ['an escaping name', () => [{ ...fact('a', hello), name: '../a' }]],
      ['the name in other case', () => [{ ...fact('a', hello), name: 'A' }]],
      ['a file twice', () => [fact('a', hello), fact('a', hello)]],
    ])(
      'says mismatch, with a reason, of a manifest with %s, and will not finalise it',
      async (_what, manifest) => {
        await uploaded(first, 'a', hello);
        const verified = await fixture.adapter.verify(first, manifest());
        expect(verified).toMatchObject({ kind: 'mismatch', reason: expect.stringMatching(/./) });
        await expect(fixture.adapter.finalise(first, manifest())).rejects.toMatchObject({
          code: 'DIGEST_MISMATCH',
        });
      },
    );

    it('closes an attempt to further files once it is verified', async () => {
      const late = await capability(first, 'late');
      const files = [await uploaded(first, 'a', hello)];
      await fixture.adapter.verify(first, files);
      await expect(fixture.upload(first, late, world)).rejects.toMatchObject({ code: 'ATTEMPT_CLOSED' });
      await expect(fixture.adapter.mint(grant(first, ['late']))).rejects.toMatchObject({
        code: 'ATTEMPT_NOT_LIVE',
      });
      await expect(fixture.adapter.verify(first, files)).resolves.toMatchObject({ kind: 'verified' });
    });

    it('finalises again and again to the same end, across a restart', async () => {
      const files = [await uploaded(first, 'a', hello)];
      await fixture.adapter.verify(first, files);
      await fixture.adapter.finalise(first, files);
      await fixture.restart();
      await fixture.adapter.finalise(first, files);
      await expect(fixture.adapter.verify(first, files)).resolves.toEqual({ kind: 'verified', files });
    });

    it('I3: finalises no other attempt of a job that has its result', async () => {
      const files = [await uploaded(first, 'a', hello)];
      const others = [await uploaded(second, 'a', hello)];
      await fixture.adapter.finalise(second, others);
      await expect(fixture.adapter.finalise(first, files)).rejects.toMatchObject({
        code: 'ATTEMPT_NOT_LIVE',
      });
      await expect(fixture.adapter.mint(grant({ job: JOB, attempt: 3 }, ['a']))).rejects.toMatchObject({
        code: 'ATTEMPT_NOT_LIVE',
      });
      await expect(fixture.adapter.verify(second, others)).resolves.toMatchObject({ kind: 'verified' });
    });

    it('I3: a result is not changed by finalising it with another manifest', async () => {
      const files = [await uploaded(first, 'a', hello), await uploaded(first, 'b', world)];
      await fixture.adapter.finalise(first, files);
      await expect(fixture.adapter.finalise(first, files.slice(1))).rejects.toMatchObject({
        code: 'DIGEST_MISMATCH',
      });
      await expect(fixture.adapter.verify(first, files)).resolves.toMatchObject({ kind: 'verified' });
    });

    it('discards for good, across a restart, and as often as it is asked', async () => {
      const files = [await uploaded(first, 'a', hello)];
      await fixture.adapter.discard(first);
      await fixture.restart();
      await fixture.adapter.discard(first);
      await expect(fixture.adapter.finalise(first, files)).rejects.toMatchObject({
        code: 'ATTEMPT_NOT_LIVE',
      });
      await expect(fixture.adapter.verify(first, files)).rejects.toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
      await expect(fixture.adapter.mint(grant(first, ['a']))).rejects.toMatchObject({
        code: 'ATTEMPT_NOT_LIVE',
      });
    });

    it('discards an attempt it never saw, which then cannot begin', async () => {
      const capabilityBefore = await capability(first, 'a');
      await fixture.adapter.discard(first);
      await expect(fixture.upload(first, capabilityBefore, hello)).rejects.toMatchObject({
        code: 'ATTEMPT_CLOSED',
      });
    });

    it('will not discard a result', async () => {
      const files = [await uploaded(first, 'a', hello)];
      await fixture.adapter.finalise(first, files);
      await expect(fixture.adapter.discard(first)).rejects.toMatchObject({ code: 'ATTEMPT_NOT_LIVE' });
      await expect(fixture.adapter.verify(first, files)).resolves.toMatchObject({ kind: 'verified' });
    });

    it('takes a file once: the same bytes again are fine, others are refused (FILE_EXISTS)', async () => {
      const right = await capability(first, 'a');
      await fixture.upload(first, right, hello);
      await fixture.upload(first, right, hello);
      await expect(fixture.upload(first, right, world)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
      await expect(fixture.adapter.verify(first, [fact('a', hello)])).resolves.toMatchObject({
        kind: 'verified',
      });
    });

    it('keeps what was uploaded across a restart, and capabilities too', async () => {
      const later = await capability(first, 'b');
      const files = [await uploaded(first, 'a', hello)];
      await fixture.restart();
      await fixture.upload(first, later, world);
      const all = [...files, fact('b', world)];
      await expect(fixture.adapter.verify(first, all)).resolves.toMatchObject({ kind: 'verified' });
    });

    it('refuses what is over the file or the attempt (QUOTA_EXCEEDED)', async () => {
      await expect(uploaded(first, 'big', new Uint8Array(1001))).rejects.toMatchObject({
        code: 'QUOTA_EXCEEDED',
      });
      await uploaded(first, 'a', new Uint8Array(1000));
      await uploaded(first, 'b', new Uint8Array(900));
      await expect(uploaded(first, 'c', new Uint8Array(101))).rejects.toMatchObject({
        code: 'QUOTA_EXCEEDED',
      });
      await uploaded(first, 'd', new Uint8Array(100));
    });

    it('refuses a name that collides with one uploaded under another grant (NAME_COLLISION)', async () => {
      await uploaded(first, 'Result/a', hello);
      for (const other of ['result/A', 'RESULT', 'result/a/b'])
        await expect(uploaded(first, other, hello)).rejects.toMatchObject({ code: 'NAME_COLLISION' });
      await uploaded(second, 'result/A', hello);
    });

    it('removes what is beside the manifest when it finalises, and counts it no more', async () => {
      const files = [await uploaded(first, 'a', hello)];
      await uploaded(first, 'extra', world);
      await fixture.adapter.finalise(first, files);
      const extra = [...files, fact('extra', world)];
      await expect(fixture.adapter.verify(first, extra)).resolves.toMatchObject({ kind: 'mismatch' });
    });
  });
}
