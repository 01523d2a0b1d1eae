import type { Ledger } from '../ledger/ledger.ts';
import type { Registration } from './enrolment.ts';
import type { EnrolmentTerms } from './method.ts';

/** Has the ledger count agents of each owner, up to this many. Rejects as the ledger does. */
export function registrar(
  ledger: Pick<Ledger, 'apply'>,
  agentsPerOwner: number,
): (agent: string, terms: EnrolmentTerms) => Promise<Registration> {
  return async (agent, { owner, site, tier }) => {
    const [outcome] = await ledger.apply([{ kind: 'enrol', agent, owner, site, tier, agentsPerOwner }]);
    if (outcome?.kind === 'noted') return 'registered';
    if (outcome?.kind !== 'refused') return 'refused';
    const { code } = outcome;
    if (code === 'TOO_MANY_AGENTS') return code;
    return code === 'REVOKED' || code === 'QUARANTINED' ? 'REVOKED' : 'refused';
  };
}
