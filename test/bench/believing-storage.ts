import type { StorageAdapter } from '../../adapters/storage/storage-adapter.ts';

/**
 * A storage that believes every manifest and keeps no byte: the files of simulated jobs never travel. Grants are still checked,
 * capabilities minted, and every step of the commit asked for and answered.
 */
export function createBelievingStorage(): StorageAdapter {
  let serial = 0;
  const done = async (): Promise<void> => undefined;
  return {
    mint: async (grant) =>
      grant.put.map(({ name }) => ({
        verb: 'put',
        name,
        url: `http://storage.invalid/v1/attempts/${grant.job}/${grant.attempt}/${name}`,
        token: `bench.put.${String(++serial).padStart(220, '0')}`,
      })),
    verify: async (_attempt, files) => ({ kind: 'verified', files }),
    finalise: done,
    discard: done,
  };
}
