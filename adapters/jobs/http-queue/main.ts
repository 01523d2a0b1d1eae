import { runFrameworkAdapter } from '../kit/framework-adapter-program.ts';
import type { FrameworkInquiry, FrameworkProgram, FrameworkProgramOptions } from '../kit/framework-kind.ts';
import { createHttpQueueAdapter } from './http-queue-adapter.ts';
import { listHeld } from './http-queue-wire.ts';

/** Starts the adapter of a plain HTTP queue. */
export function startAdapter(options: FrameworkProgramOptions): Promise<FrameworkProgram> {
  return runFrameworkAdapter(options, createHttpQueueAdapter);
}

/** How many jobs wait in the queues that are ours. */
export async function introduce({ name, settings, http }: FrameworkInquiry): Promise<string> {
  const waiting = [];
  for (const queue of Object.values(settings.queues))
    waiting.push(`${(await listHeld(http, queue, name)).waiting} in ${queue}`);
  return `lets us in; jobs that wait: ${waiting.join(', ')}`;
}
