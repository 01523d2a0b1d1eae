import { type Address, BROKER_ADDRESS } from './bus.ts';
import { agentAddress, instanceAddress, partyAt } from './parties.ts';

/**
 * What addresses are called on an XMPP server (docs/buses.md). Agents are users of the domain; whoever is trusted is a component
 * with a name of its own below it, so that the server itself says who speaks.
 */

/** The one resource of an agent: whoever logs in as it takes the place of whoever did before. */
export const AGENT_RESOURCE = 'co-pilot';

/** The names that components go by. */
export const ENTRANCE = 'broker';
const SERVICES = 'service';

/** Undefined for an address that nobody has on this bus. */
export function jidOf(address: Address, domain: string): string | undefined {
  const party = partyAt(address);
  switch (party?.kind) {
    case 'agent':
      return `${party.agent}@${domain}/${AGENT_RESOURCE}`;
    case 'entrance':
      return `${ENTRANCE}.${domain}`;
    case 'instance':
      return `${party.instance}.${ENTRANCE}.${domain}`;
    case 'service':
      return `${party.service}.${SERVICES}.${domain}`;
    case undefined:
      return undefined;
  }
}

/** Whose it is, of a name that the server has stamped; undefined for one that is none of ours. */
export function addressOf(jid: string, domain: string): Address | undefined {
  const agent = before(jid, `@${domain}/${AGENT_RESOURCE}`);
  if (agent !== undefined) return known(agentAddress(agent));
  if (jid === `${ENTRANCE}.${domain}`) return BROKER_ADDRESS;
  const instance = before(jid, `.${ENTRANCE}.${domain}`);
  if (instance !== undefined) return known(instanceAddress(instance));
  const service = before(jid, `.${SERVICES}.${domain}`);
  return service === undefined ? undefined : known(`service.${service}`);
}

function before(jid: string, suffix: string): string | undefined {
  return jid.endsWith(suffix) ? jid.slice(0, -suffix.length) : undefined;
}

function known(address: Address): Address | undefined {
  return partyAt(address) === undefined ? undefined : address;
}
