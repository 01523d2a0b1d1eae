import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { BrokerProgramConfiguration } from '../program-configuration.ts';

/** Other brokers may be on the bus. */
export function isShared({ ledger }: BrokerProgramConfiguration): boolean {
  return ledger !== undefined;
}

/** A server may share the brokers' name out without telling any of them that there are others. */
export function refuseOthers(configuration: BrokerProgramConfiguration): void {
  const { instance, otherBrokers = [] } = configuration;
  const other = otherBrokers.find((name) => name !== instance);
  if (other === undefined || isShared(configuration)) return;
  throw new CoPilotError(
    'LEDGER_IN_USE',
    `bus.brokers names ${other}; brokers that share a bus need names of their own and a ledger of kind postgres`,
  );
}

export function explainConflict(caught: unknown): never {
  const { code, message } = toCoPilotError(caught);
  if (code !== 'CONFLICT') throw caught;
  throw new CoPilotError(
    'LEDGER_IN_USE',
    `another broker serves this bus (${message}); brokers that share one need names of their own and a ledger of kind postgres`,
    { cause: caught },
  );
}
