import type { Clock, Crypto } from '../../protocol/runtime/runtime.ts';
import { codeDigest } from './challenge.ts';
import type { CodeStore } from './code-store.ts';
import { type EnrolmentMethod, refused } from './method.ts';

/** One-use codes: whoever has one is whom the operator made it for. */
export function createCodeMethod(
  codes: CodeStore,
  { clock, crypto }: { readonly clock: Clock; readonly crypto: Crypto },
): EnrolmentMethod<{ readonly code: string }> {
  return {
    async judge({ code }, { sig }) {
      const spent = await codes.spend(codeDigest(crypto, code), sig, clock.wallMs());
      return spent.kind === 'spent'
        ? { kind: 'known', terms: spent.terms }
        : refused('the code is unknown, ended or spent');
    },
  };
}
