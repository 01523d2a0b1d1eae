import type { Description } from '../../protocol/generated/types.ts';

/** The ledger holds only descriptions that passed the schema. */
export function parseDescription(text: string): Description {
  return JSON.parse(text) as Description;
}
