import { isAccessToken, type InstallationPin } from '../protocol/enrolment.ts';
import { CoPilotError } from '../protocol/errors.ts';
import type { EnrolmentWay } from './enrolment-way.ts';

/** Enrols with an access token. It is read for each attempt: whoever renews it does so beside us. */
export function oidcWay(pin: InstallationPin, read: () => Promise<string>): EnrolmentWay {
  return {
    ...pin,
    async credential() {
      const token = (await read()).trim();
      if (isAccessToken(token)) return { method: 'oidc', token };
      throw new CoPilotError(
        'ENROLMENT_REFUSED',
        'what should be an access token is none: a JWT of three parts and at most 8 KiB',
      );
    },
  };
}
