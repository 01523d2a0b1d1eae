import type { Address } from '../../protocol/bindings/bus.ts';

/** The address every binding gives a trusted service. */
export function serviceAddress(service: string): Address {
  return `service.${service}`;
}
