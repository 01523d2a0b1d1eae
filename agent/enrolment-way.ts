import type {
  EnrolmentCode,
  EnrolmentCredential,
  InstallationPin,
  ProofFields,
} from '../protocol/enrolment.ts';

/** A way to enrol: where, whom to believe, and what is shown there. */
export interface EnrolmentWay extends InstallationPin {
  /** Made for one challenge. May reject with `ENROLMENT_REFUSED`, which ends the agent, or `UNREACHABLE`: it tries again. */
  credential(fields: ProofFields): Promise<EnrolmentCredential>;
}

export function codeWay({ url, certifier, secret }: EnrolmentCode): EnrolmentWay {
  return { url, certifier, credential: async () => ({ method: 'code', code: secret }) };
}
