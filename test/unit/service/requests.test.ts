import { expect, it } from 'vitest';
import type { Command, Outcome } from '../../../broker/core/command.ts';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createHostClasses } from '../../../broker/matching/host-class.ts';
import { createAvailableJobs } from '../../../broker/service/available-jobs.ts';
import { onRequest } from '../../../broker/service/requests.ts';
import type { Desk } from '../../../broker/service/desk.ts';
import type { Caller } from '../../../broker/service/agent-sessions.ts';
import type { JobRow } from '../../../broker/core/state.ts';
import { CONFIGURATION, createRuntime, describe as description, QUEUE } from './service-parts.ts';

it('M-15 a job that comes while the ledger is asked whether the agent may have one is not waited for in vain', async () => {
  const runtime = createRuntime();
  const jobs = createAvailableJobs(runtime, 10);
  const asked: string[] = [];
  const bucket = jobs.bucketKeyOf(description(), QUEUE.name);
  const job = { id: 'late', queue: QUEUE.name, priority: 0, lastAttempt: 0, bucket } as JobRow;
  const ledger = {
    ...createMemoryLedger({ clock: runtime.clock }),
    async apply(commands: readonly Command[]): Promise<readonly Outcome[]> {
      for (const command of commands) if (command.kind === 'lease') asked.push(command.job);
      if (asked.length === 1) await jobs.offer(job, async () => undefined);
      return [{ kind: 'unchanged' }];
    },
  };
  const hostClass = createHostClasses();
  const desk = {
    runtime,
    configuration: CONFIGURATION,
    ledger,
    jobs,
    queues: new Map([[QUEUE.name, QUEUE]]),
    classOf: hostClass,
    hunger: () => undefined,
  } as unknown as Desk;
  const caller = {
    agent: 'agent',
    start: 'start',
    isGone: () => false,
    send: () => true,
  } as unknown as Caller;
  await onRequest(desk, caller, { kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
  expect(asked).toEqual(['', 'late']);
  jobs.leave(caller);
});
