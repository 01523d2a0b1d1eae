import { CoPilotError } from '../../protocol/errors.ts';
import type { PilotDesk } from '../pilot/pilot-host.ts';
import type { Run } from './files.ts';

/** Of a job that is no pilot. */
const NO_DESK: PilotDesk = {
  environment: {},
  admit: () => undefined,
  close: () => Promise.resolve(),
  gather: () => Promise.resolve(undefined),
};

/**
 * What a job in pilot mode has beside its files. Its questions travel in the job's own slot, in which nothing else is asked while the job
 * runs. Rejects where it cannot be had.
 */
export async function openDesk({ context, slot, holding, place }: Run): Promise<PilotDesk> {
  const { description, job, attempt } = holding.lease;
  if (description.pilot === undefined) return NO_DESK;
  if (context.pilot === undefined)
    throw new CoPilotError(
      'LAUNCH_REFUSED',
      'this agent runs no pilots: its isolation or network is not for it',
    );
  return context.pilot.open({
    directory: place.directory,
    ask: (method, body, signal) =>
      context.link.call(slot, { job, attempt, method, body }, AbortSignal.any([signal, holding.signal])),
  });
}
