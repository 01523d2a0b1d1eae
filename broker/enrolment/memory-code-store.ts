import { CoPilotError } from '../../protocol/errors.ts';
import type { CodeStore, CodeTerms } from './code-store.ts';

/** The code store's memory twin. */
export function createMemoryCodeStore(): CodeStore {
  const codes = new Map<
    string,
    { readonly terms: CodeTerms; readonly expiresMs: number; spentBy: string | undefined }
  >();
  return {
    async add(digest, terms, expiresMs) {
      if (codes.has(digest)) throw new CoPilotError('CONFLICT', 'the code is known');
      codes.set(digest, { terms, expiresMs, spentBy: undefined });
    },
    async spend(digest, key, nowMs) {
      const code = codes.get(digest);
      if (code === undefined || code.expiresMs <= nowMs || (code.spentBy ?? key) !== key)
        return { kind: 'refused' };
      code.spentBy = key;
      return { kind: 'spent', terms: code.terms };
    },
    async close() {
      codes.clear();
    },
  };
}
