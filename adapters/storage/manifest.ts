import type { File, StoredFile } from '../../protocol/generated/types.ts';
import type { Verified } from './storage-adapter.ts';

/** Compares what is stored, by digests storage computed, with what a report claims. Files beside the manifest do not count. */
export function compareManifest(stored: readonly StoredFile[], manifest: readonly File[]): Verified {
  const byName = new Map(stored.map((file) => [file.name, file]));
  const named = new Set(manifest.map((file) => file.name));
  if (named.size < manifest.length) return mismatch('the manifest names a file twice');
  for (const claimed of manifest) {
    const reason = difference(claimed, byName.get(claimed.name));
    if (reason !== undefined) return mismatch(reason);
  }
  return { kind: 'verified', files: manifest.flatMap((file) => byName.get(file.name) ?? []) };
}

function difference(claimed: File, stored: File | undefined): string | undefined {
  if (stored === undefined) return `${claimed.name} was not uploaded`;
  if (stored.size !== claimed.size)
    return `${claimed.name} has ${stored.size} bytes, the report says ${claimed.size}`;
  return stored.sha256 === claimed.sha256 ? undefined : `${claimed.name} has another SHA-256 than reported`;
}

function mismatch(reason: string): Verified {
  return { kind: 'mismatch', reason };
}
