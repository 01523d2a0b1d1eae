import { type Address, BROKER_ADDRESS } from './bus.ts';

/** An agent's address on a server that many share. */
export function agentAddress(agent: string): Address {
  return `agent.${agent}`;
}

/** The address of one broker instance. */
export function instanceAddress(instance: string): Address {
  return `${BROKER_ADDRESS}:${instance}`;
}

const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const AGENT = /^[a-z2-7]{26}$/;

export type Party =
  | { readonly kind: 'agent'; readonly agent: string }
  | { readonly kind: 'entrance' }
  | { readonly kind: 'instance'; readonly instance: string }
  | { readonly kind: 'service'; readonly service: string };

/** Whose address this is; undefined for one that nobody has on a server. */
export function partyAt(address: Address): Party | undefined {
  if (address === BROKER_ADDRESS) return { kind: 'entrance' };
  const agent = nameIn(address, 'agent.', AGENT);
  if (agent !== undefined) return { kind: 'agent', agent };
  const instance = nameIn(address, `${BROKER_ADDRESS}:`, NAME);
  if (instance !== undefined) return { kind: 'instance', instance };
  const service = nameIn(address, 'service.', NAME);
  return service === undefined ? undefined : { kind: 'service', service };
}

function nameIn(address: Address, prefix: string, name: RegExp): string | undefined {
  if (!address.startsWith(prefix)) return undefined;
  const rest = address.slice(prefix.length);
  return name.test(rest) ? rest : undefined;
}

/** Whether it is the name that an agent logs in by: its id. */
export function isAgentName(user: string): boolean {
  return AGENT.test(user);
}
