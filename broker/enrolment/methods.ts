import type {
  EnrolmentCredential,
  EnrolmentCredentials,
  EnrolmentMethodName,
  ProofFields,
} from '../../protocol/enrolment.ts';
import { type EnrolmentMethod, type Judgement, refused } from './method.ts';

/** The ways to enrol that an installation offers. */
export type EnrolmentMethods = {
  readonly [Name in EnrolmentMethodName]?: EnrolmentMethod<EnrolmentCredentials[Name]>;
};

/** Lets the method judge that the credential names; one that is not offered is refused like a wrong credential. */
export async function judgeCredential<Name extends EnrolmentMethodName>(
  methods: EnrolmentMethods,
  credential: EnrolmentCredential<Name>,
  fields: ProofFields,
): Promise<Judgement> {
  const method: EnrolmentMethods[Name] = methods[credential.method];
  return method?.judge(credential, fields) ?? refused('this method is not offered here');
}
