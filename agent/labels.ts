import { CoPilotError } from '../protocol/errors.ts';
import { isRequest } from '../protocol/generated/validators.js';
import type { HostAd } from './host-ad.ts';

/** What an operator adds to the description of a host. */
export type Labels = Readonly<Record<string, string | number | boolean>>;

/** Throws `INVALID_REQUEST` where labels are no host ad attributes, or would speak for what the agent finds out itself. */
export function checkLabels(labels: Labels, found: HostAd): void {
  const taken = new Set(Object.keys(found).map((name) => name.toLowerCase()));
  const clash = Object.keys(labels).find((name) => taken.has(name.toLowerCase()));
  if (clash !== undefined)
    throw new CoPilotError('INVALID_REQUEST', `the label ${clash} is something the agent finds out itself`);
  if (!isRequest({ kind: 'request', slot: 1, counter: 1, ad: { ...found, ...labels }, seen: [] }))
    throw new CoPilotError(
      'INVALID_REQUEST',
      'labels are at most 48 names of letters, digits and _, each with a number, true, false or up to 256 characters',
    );
}
