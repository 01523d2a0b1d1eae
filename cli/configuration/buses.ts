import type { FieldPath } from '../campaign/problem.ts';
import type { BusSettings, Settings } from './settings.ts';

/** One of the installation's buses, and where it is set. */
export interface PlacedBus extends BusSettings {
  readonly path: FieldPath;
}

/** Its buses in the order in which agents try them, whether one is set or a list. */
export function busesOf({ bus, publicUrls, adapters }: Pick<Settings, 'bus' | 'publicUrls' | 'adapters'>) {
  if (isList(bus)) return bus.map((entry, at): PlacedBus => ({ ...entry, path: ['bus', at] }));
  const publicUrl = bus.publicUrl ?? publicUrls.bus;
  const adaptersUrl = bus.adaptersUrl ?? adapters.busUrl;
  const only: PlacedBus = {
    ...bus,
    path: ['bus'],
    ...(publicUrl !== undefined && { publicUrl }),
    ...(adaptersUrl !== undefined && { adaptersUrl }),
  };
  return [only];
}

/** `Array.isArray` does not narrow a list that cannot be written. */
export function isList(bus: Settings['bus']): bus is readonly BusSettings[] {
  return Array.isArray(bus);
}
