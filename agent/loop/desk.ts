import { CoPilotError } from '../../protocol/errors.ts';
import type { PilotDesk } from '../pilot/pilot-host.ts';
import type { Run } from './files.ts';

/** Of a job that asks nobody anything. */
const NO_DESK: PilotDesk = {
  environment: {},
  admit: () => undefined,
  close: () => Promise.resolve(),
  gather: () => Promise.resolve(undefined),
};

/**
 * What a job that is a pilot, or that has parts, has beside its files. Its questions travel in the job's own slot, in which nothing else is
 * asked while the job runs. Rejects where it cannot be had.
 */
export async function openDesk({ context, slot, holding, place }: Run): Promise<PilotDesk> {
  const { description, job, attempt } = holding.lease;
  const { pilot, parts } = description;
  if (pilot === undefined && parts === undefined) return NO_DESK;
  if (context.pilot === undefined)
    throw new CoPilotError(
      'LAUNCH_REFUSED',
      'this agent serves no pilots and no parts: its isolation or network is not for it',
    );
  const until = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, holding.signal]);
  return context.pilot.open({
    directory: place.directory,
    isPilot: pilot !== undefined,
    hasParts: parts !== undefined,
    call: (method, body, signal) => context.link.call(slot, { job, attempt, method, body }, until(signal)),
    parts: (verb, ids, signal) =>
      context.link.parts(slot, { job, attempt, verb, parts: [...ids] }, until(signal)),
  });
}
