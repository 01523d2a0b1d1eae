import { expect, it } from 'vitest';
import { encodeFitting } from '../../../broker/service/fit.ts';
import type { Lease } from '../../../protocol/generated/types.ts';
import { decodeBrokerMessage, MAX_MESSAGE_BYTES } from '../../../protocol/messages.ts';

const JOB = 'b'.repeat(26);
const verdicts = Array.from({ length: 64 }, (_, index) => ({
  job: JOB,
  attempt: index + 1,
  verdict: 'refused' as const,
  reason: 'r'.repeat(400),
}));

function leaseOf(argumentBytes: number): Lease {
  const limits = { wallSeconds: 1, memoryMiB: 16, diskMiB: 1 };
  const capability = {
    verb: 'put',
    name: 'out',
    url: `http://h/${'u'.repeat(400)}`,
    token: 't'.repeat(800),
  } as const;
  return {
    job: JOB,
    attempt: 1,
    queue: 'main',
    leaseSeconds: 60,
    firstRenewSeconds: 5,
    description: {
      command: 'c',
      arguments: Array.from({ length: Math.ceil(argumentBytes / 4096) }, () =>
        'x'.repeat(Math.min(argumentBytes, 4096)),
      ),
      environment: {},
      inputs: [],
      outputs: [],
      limits,
      requirements: '',
    },
    capabilities: Array.from({ length: 16 }, () => capability),
  };
}

it('sends the oldest verdicts that fit, and the rest another time', () => {
  const bytes = encodeFitting({ kind: 'released', slot: 1, counter: 1, job: JOB, attempt: 1, verdicts });
  expect(bytes.length).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
  const message = decodeBrokerMessage(bytes);
  if (message.kind !== 'released') throw new Error(message.kind);
  expect(message.verdicts.length).toBeGreaterThan(40);
  expect(message.verdicts).toEqual(verdicts.slice(0, message.verdicts.length));
});

it('sends a lease without capabilities where both do not fit: the agent asks for them', () => {
  const bytes = encodeFitting({ kind: 'job', slot: 1, counter: 1, lease: leaseOf(14_000), verdicts });
  const message = decodeBrokerMessage(bytes);
  if (message.kind !== 'job') throw new Error(message.kind);
  expect(message.lease.capabilities).toEqual([]);
});

it('changes nothing that fits', () => {
  const message = {
    kind: 'job',
    slot: 1,
    counter: 1,
    lease: leaseOf(10),
    verdicts: verdicts.slice(0, 3),
  } as const;
  expect(decodeBrokerMessage(encodeFitting(message))).toEqual(message);
});

it('sends the next lease with a verdict without capabilities where all do not fit', () => {
  const reported = { kind: 'reported', slot: 1, counter: 1, job: JOB, attempt: 1 } as const;
  const verdict = { verdict: 'committed', reason: '' } as const;
  const bytes = encodeFitting({ ...reported, ...verdict, next: leaseOf(14_000), verdicts });
  expect(bytes.length).toBeLessThanOrEqual(MAX_MESSAGE_BYTES);
  expect(decodeBrokerMessage(bytes)).toMatchObject({ ...verdict, next: { job: JOB, capabilities: [] } });
});

it('sheds nothing but verdicts and a lease’s capabilities: what is too large without them is a fault', () => {
  const capabilities = leaseOf(10).capabilities.flatMap((capability) => [capability, capability]);
  const of = { slot: 1, counter: 1, job: JOB, attempt: 1 } as const;
  const tooLarge = expect.objectContaining({ code: 'FRAME_TOO_LARGE' });
  expect(() => encodeFitting({ kind: 'capabilities', ...of, capabilities, verdicts })).toThrow(tooLarge);
});
