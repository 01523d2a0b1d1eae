import { expect, it } from 'vitest';
import { Wallet } from '../../../agent/loop/wallet.ts';
import type { Capability, File } from '../../../protocol/generated/types.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { capability, DIGEST } from './stage.ts';

const files = Array.from({ length: 40 }, (_, n): File => ({ name: `f${n}`, size: 1, sha256: DIGEST }));

function createWallet(leaseSeconds: number, mint: (file: File) => readonly Capability[] = mintAny) {
  const clock = createManualClock();
  const asked: string[][] = [];
  const wallet = new Wallet({
    clock,
    leaseSeconds,
    obtain: async (_verb, wanted) => {
      asked.push(wanted.map(({ name }) => name));
      return wanted.flatMap(mint);
    },
  });
  return { clock, wallet, asked };
}

function mintAny({ name }: File): readonly Capability[] {
  return [capability('put', name, 'fresh')];
}

it('asks for what is missing in windows of sixteen, and never for what it has', async () => {
  const { wallet, asked } = createWallet(900);
  wallet.add([capability('put', 'f1', 'kept')]);
  for (const [index, { name }] of files.entries())
    expect((await wallet.take('put', files.slice(index)))?.name).toBe(name);
  expect(asked.map((names) => names.length)).toEqual([16, 16, 7]);
  expect(asked.flat()).not.toContain('f1');
});

it('keeps the two verbs apart', async () => {
  const { wallet, asked } = createWallet(900);
  wallet.add([capability('get', 'f0')]);
  expect((await wallet.take('put', files.slice(0, 1)))?.token).toBe('fresh');
  expect(asked).toEqual([['f0']]);
});

it.each([
  [900, 720_000],
  [100_000, 720_000],
  [10, 8_000],
])('with a lease of %d s a capability serves for %d ms', async (leaseSeconds, servesMs) => {
  const { clock, wallet, asked } = createWallet(leaseSeconds);
  wallet.add([capability('put', 'f0', 'kept')]);
  clock.advance(servesMs - 1);
  expect((await wallet.take('put', files.slice(0, 1)))?.token).toBe('kept');
  clock.advance(1);
  expect((await wallet.take('put', files.slice(0, 1)))?.token).toBe('fresh');
  expect(asked).toHaveLength(1);
});

it('says so where the broker answers without the one that is needed', async () => {
  const { wallet } = createWallet(900, (file) => (file.name === 'f0' ? [] : mintAny(file)));
  expect(await wallet.take('put', files.slice(0, 2))).toBeUndefined();
});

it('asks again for one the storage did not take', async () => {
  const { wallet, asked } = createWallet(900);
  const first = await wallet.take('put', files.slice(0, 1));
  if (first !== undefined) wallet.discard(first);
  await wallet.take('put', files.slice(0, 1));
  expect(asked).toEqual([['f0'], ['f0']]);
});
