import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StorageAdapter } from '../../adapters/storage/storage-adapter.ts';
import type { Transfers } from '../../agent/transfers/transfers.ts';
import type { Capability } from '../../protocol/generated/types.ts';
import { attemptOf, fileOf, grantFor, sha256Of, someBytes } from '../doubles/bridge-world.ts';

/** `movesBytes`: files are read and written; without, paths are not looked at and transfers move facts alone. */
export interface TransfersManifest {
  readonly movesBytes: boolean;
}

/** An agent's transfers, the storage behind them, and a disk. */
export interface TransfersUnderTest {
  readonly transfers: Transfers;
  adapter(): StorageAdapter;
  /** Thumbprint of the agent's key. */
  readonly jkt: string;
  nowMs(): number;
  /** An input that jobs may name. */
  offer(bytes: Uint8Array): Promise<void>;
  /** Path of a new file with these bytes. */
  file(bytes: Uint8Array): Promise<string>;
  /** A path in the same directory where there is nothing yet. */
  readonly target: string;
  /** What lies at a path; undefined where nothing does. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Storage cannot be reached until `restart`. */
  stop(): Promise<void>;
  restart(): Promise<void>;
  /** Lets time pass until the promise is settled. */
  settled(promise: Promise<void>): Promise<void>;
  dispose(): Promise<void>;
}

const forever = new AbortController().signal;
const small = someBytes(1_000);
const large = someBytes(300_000, 2);
const factsOf = (bytes: Uint8Array) => ({ size: bytes.length, sha256: sha256Of(bytes) });

/** What every implementation of transfers promises (agent/transfers/transfers.ts). */
export function transfersConformance(
  name: string,
  manifest: TransfersManifest,
  open: () => Promise<TransfersUnderTest>,
): void {
  describe(`transfers contract: ${name}`, () => {
    let subject: TransfersUnderTest;
    beforeEach(async () => {
      subject = await open();
    });
    afterEach(() => subject.dispose());

    const mint = async (change: object): Promise<Capability> => {
      const grant = { ...grantFor(subject.jkt, {}), iat: seconds(), exp: seconds() + 600, ...change };
      const [capability] = await subject.adapter().mint(grant);
      return capability!;
    };
    const seconds = (): number => Math.floor(subject.nowMs() / 1000);
    const mintPut = (file: string, more: object = {}): Promise<Capability> =>
      mint({ put: [{ name: file, maxBytes: 1_000_000, ...more }] });
    const mintGet = (bytes: Uint8Array): Promise<Capability> =>
      mint({ get: [{ name: 'input.dat', ...factsOf(bytes) }] });
    const upload = async (
      bytes: Uint8Array,
      capability: Capability,
      signal = forever,
      onProgress?: (at: number) => void,
    ): Promise<void> =>
      subject.settled(
        subject.transfers.upload(await subject.file(bytes), capability, factsOf(bytes), signal, onProgress),
      );
    const download = (
      capability: Capability,
      facts: { readonly size: number; readonly sha256: string },
      signal = forever,
      onProgress?: (at: number) => void,
    ): Promise<void> =>
      subject.settled(subject.transfers.download(capability, subject.target, facts, signal, onProgress));
    const stored = async (file: string, bytes: Uint8Array): Promise<boolean> =>
      (await subject.adapter().verify(attemptOf(), [fileOf(file, bytes)])).kind === 'verified';

    it.each([
      ['of nothing', new Uint8Array(0)],
      ['of one byte', someBytes(1)],
      ['of much', large],
    ])('an upload %s is in storage once it resolves, size and digest', async (_what, bytes) => {
      await upload(bytes, await mintPut('a'));
      expect(await stored('a', bytes)).toBe(true);
    });

    it('an upload may be repeated, after a restart of storage too', async () => {
      const capability = await mintPut('a');
      await upload(large, capability);
      await upload(large, capability);
      await subject.stop();
      await subject.restart();
      await upload(large, capability);
      expect(await stored('a', large)).toBe(true);
    });

    it('says how far it is, never going back, to the end', async () => {
      const seen: number[] = [];
      await upload(large, await mintPut('a'), forever, (at) => seen.push(at));
      expect(seen.at(-1)).toBe(large.length);
      expect(seen).toEqual([...seen].sort((one, other) => one - other));
    });

    it.each<[string, object]>([
      ['QUOTA_EXCEEDED', { maxBytes: 10 }],
      ['DIGEST_MISMATCH', { sha256: sha256Of(someBytes(5)) }],
    ])('an upload that storage refuses for good ends with its code, %s', async (code, more) => {
      await expect(upload(small, await mintPut('a', more))).rejects.toMatchObject({ code });
      expect(await stored('a', small)).toBe(false);
    });

    it('an upload over a file with other bytes ends with FILE_EXISTS and leaves them', async () => {
      const capability = await mintPut('a');
      await upload(small, capability);
      await expect(upload(someBytes(1_000, 9), capability)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
      expect(await stored('a', small)).toBe(true);
    });

    it('an upload after the attempt is closed ends with ATTEMPT_CLOSED', async () => {
      const capability = await mintPut('a');
      await subject.adapter().discard(attemptOf());
      await expect(upload(small, capability)).rejects.toMatchObject({ code: 'ATTEMPT_CLOSED' });
    });

    it('a download resolves once the input is there, and may be repeated', async () => {
      await subject.offer(large);
      const seen: number[] = [];
      for (let times = 0; times < 2; times++)
        await download(await mintGet(large), factsOf(large), forever, (at) => seen.push(at));
      expect(seen.at(-1)).toBe(large.length);
    });

    it('a download of what is not there is NOT_FOUND', async () => {
      await expect(download(await mintGet(small), factsOf(small))).rejects.toMatchObject({
        code: 'NOT_FOUND',
      });
      expect(await subject.read(subject.target)).toBeUndefined();
    });

    it('a download that brings other bytes than the job names is DIGEST_MISMATCH and leaves no target', async () => {
      await subject.offer(small);
      const named = { size: small.length, sha256: sha256Of(someBytes(9)) };
      await expect(download(await mintGet(small), named)).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      expect(await subject.read(subject.target)).toBeUndefined();
    });

    it('both end with UNREACHABLE when patience does, and work again when storage is back', async () => {
      await subject.offer(small);
      const [put, get] = [await mintPut('a'), await mintGet(small)];
      await subject.stop();
      await expect(upload(small, put)).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await expect(download(get, factsOf(small))).rejects.toMatchObject({ code: 'UNREACHABLE' });
      await subject.restart();
      await upload(small, put);
      await download(get, factsOf(small));
      expect(await stored('a', small)).toBe(true);
    });

    it('both end at once with the reason of a signal that was given before, without effect', async () => {
      await subject.offer(small);
      const signal = AbortSignal.abort(new Error('the lease is lost'));
      await expect(upload(small, await mintPut('a'), signal)).rejects.toThrow('the lease is lost');
      await expect(download(await mintGet(small), factsOf(small), signal)).rejects.toThrow(
        'the lease is lost',
      );
      expect(await stored('a', small)).toBe(false);
      expect(await subject.read(subject.target)).toBeUndefined();
    });

    if (!manifest.movesBytes) return;

    it('an upload of a file that changed since it was reported is DIGEST_MISMATCH', async () => {
      const path = await subject.file(small);
      for (const facts of [factsOf(small.subarray(1)), factsOf(someBytes(1_000, 3))]) {
        const changed = subject.transfers.upload(path, await mintPut('a'), facts, forever);
        await expect(changed).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
      }
      expect(await stored('a', small)).toBe(false);
    });

    it('a downloaded file is whole', async () => {
      await subject.offer(large);
      await download(await mintGet(large), factsOf(large));
      expect(Buffer.compare((await subject.read(subject.target))!, large)).toBe(0);
    });
  });
}
