import type { Verification } from './command.ts';
import type { Attempt, FileDigest, StoredFile } from './state.ts';

/** What the ledger makes of a checked result. Replicas will add `wait`. */
export type Judgement =
  | { readonly kind: 'commit'; readonly manifest: readonly StoredFile[] }
  | { readonly kind: 'refuse'; readonly reason: string };

/** Step 3 of the commit: the storage's own digests against what the agent reported, file by file, none missing, none extra. */
export function judge(attempt: Attempt, result: Verification): Judgement {
  if (result.kind === 'mismatch') return { kind: 'refuse', reason: result.reason };
  const stored = new Map(result.files.map((file) => [file.name, file]));
  const reported = new Set(attempt.manifest.map((file) => file.name));
  if (reported.size !== attempt.manifest.length) return refuse('a file is named twice in the manifest');
  const wrong = attempt.manifest.find((file) => !isSameFile(file, stored.get(file.name)));
  if (wrong !== undefined) return refuse(`${wrong.name} is not in storage as reported`);
  const extra = result.files.find((file) => !reported.has(file.name));
  if (extra !== undefined) return refuse(`${extra.name} is in storage and was not reported`);
  return { kind: 'commit', manifest: attempt.manifest.map((file) => stored.get(file.name) ?? file) };
}

function isSameFile(reported: FileDigest, stored: FileDigest | undefined): boolean {
  return reported.size === stored?.size && reported.sha256 === stored.sha256;
}

function refuse(reason: string): Judgement {
  return { kind: 'refuse', reason };
}
