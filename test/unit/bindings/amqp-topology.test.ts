import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  AGENT_EXCHANGE,
  agentKey,
  isAgentKey,
  readKey,
  TRUSTED_EXCHANGE,
  trustedKey,
} from '../../../protocol/bindings/amqp-topology.ts';
import { agentAddress, instanceAddress } from '../../../protocol/bindings/parties.ts';
import { BROKER_ADDRESS } from '../../../protocol/bindings/bus.ts';

const mallory = 'm'.repeat(26);
const other = 'o'.repeat(26);
const agents = fc.stringMatching(/^[a-z2-7]{26}$/);
const names = fc.stringMatching(/^[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?$/);

describe('a routing key', () => {
  it('says who an agent is and whom it means, whatever the instance is called', () => {
    fc.assert(
      fc.property(agents, fc.option(names), (agent, name) => {
        const to = name === null ? BROKER_ADDRESS : instanceAddress(name);
        const key = agentKey(to, agent);
        expect(readKey(AGENT_EXCHANGE, key)).toEqual({ to, from: agentAddress(agent) });
        expect(isAgentKey(key, agent)).toBe(true);
      }),
    );
  });

  it('says the same of brokers and adapters', () => {
    fc.assert(
      fc.property(names, names, (service, instance) => {
        const [to, from] = [`service.${service}`, instanceAddress(instance)];
        expect(readKey(TRUSTED_EXCHANGE, trustedKey(to, from))).toEqual({ to, from });
      }),
    );
  });

  it.each([
    ['another agent', agentKey(BROKER_ADDRESS, other)],
    ['an adapter', trustedKey(BROKER_ADDRESS, 'service.storage')],
    ['a broker', trustedKey('service.storage', instanceAddress('broker-1'))],
    ['nobody', 'broker'],
    ['itself and another', `${agentKey(BROKER_ADDRESS, mallory)}.${other}`],
    ['itself, to an agent', `agent~${other}.${mallory}`],
    ['itself, to an adapter', `service~storage.${mallory}`],
    ['itself, to every broker', `broker:*.${mallory}`],
    ['itself in capitals', `broker.${mallory.toUpperCase()}`],
    ['itself, after a line break', `broker.\n${mallory}`],
    ['nothing', ''],
  ])('that names %s is none of an agent', (_what, key) => {
    expect(isAgentKey(key, mallory)).toBe(false);
  });

  it('of an agent counts on its own exchange alone, and of a service on the other', () => {
    expect(readKey(TRUSTED_EXCHANGE, agentKey(BROKER_ADDRESS, mallory))).toBeUndefined();
    expect(readKey(TRUSTED_EXCHANGE, trustedKey(BROKER_ADDRESS, agentAddress(mallory)))).toBeUndefined();
    expect(readKey(AGENT_EXCHANGE, trustedKey(BROKER_ADDRESS, 'service.storage'))).toBeUndefined();
    expect(readKey('', agentKey(BROKER_ADDRESS, mallory))).toBeUndefined();
  });

  it('of any form does not make it throw', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (exchange, key) => {
        readKey(exchange, key);
        isAgentKey(key, mallory);
      }),
    );
  });
});
