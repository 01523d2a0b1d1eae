import type { ProofFields } from '../../protocol/enrolment.ts';
import type { Identity } from '../../protocol/generated/types.ts';

/** What the identity of whoever enrols will say of it. */
export interface EnrolmentTerms {
  readonly owner: string;
  readonly site: string;
  readonly tier: Identity['tier'];
}

export type Judgement =
  | { readonly kind: 'known'; readonly terms: EnrolmentTerms }
  /** The reason is for the log: whoever asks is told the same in every case. */
  | { readonly kind: 'refused'; readonly reason: string };

/** One way to show who one is. */
export interface EnrolmentMethod<Credential> {
  /**
   * Whose credential it is. The keys in `fields` are proved to be the asker's, and the challenge to be ours and new. Rejects with
   * `ENROLMENT_UNAVAILABLE` where it cannot be told at the moment; nothing is spent then.
   */
  judge(credential: Credential, fields: ProofFields): Promise<Judgement>;
}

export function refused(reason: string): Judgement {
  return { kind: 'refused', reason };
}
