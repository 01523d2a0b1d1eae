import { beforeEach, describe, expect, it } from 'vitest';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createAttemptsUnderWay } from '../../../broker/service/attempts-under-way.ts';
import { createVerifier, type Verifier } from '../../../broker/service/verification.ts';
import type { Report } from '../../../protocol/generated/types.ts';
import type { AnswerBody } from '../../../protocol/session/trusted-link.ts';
import { FILE, USAGE } from '../lease-machine/world.ts';
import { createRuntime, describe as description, playAdapters, QUEUE, unreachable } from './service-parts.ts';

const VERIFIED: AnswerBody = { result: 'verified', files: [FILE] };
const LONG_ENOUGH_MS = 250;

let runtime: ReturnType<typeof createRuntime>;
let adapters: ReturnType<typeof playAdapters>;
let isOpen: boolean;
let verifier: Verifier;

beforeEach(() => {
  runtime = createRuntime();
  adapters = playAdapters(() => VERIFIED);
  isOpen = true;
  const underWay = createAttemptsUnderWay(createMemoryLedger(runtime));
  const described = description({ outputs: [{ name: FILE.name }] });
  underWay.note({ job: 'j1', attempt: 2, agent: 'a', queue: QUEUE.name }, described);
  const { ask } = adapters;
  verifier = createVerifier({
    clock: runtime.clock,
    queues: [QUEUE],
    underWay,
    ask,
    isOpen: () => isOpen,
  });
});

const reportOf = (change: Partial<Report> = {}): Report => ({
  kind: 'report',
  slot: 1,
  counter: 2,
  job: 'j1',
  attempt: 2,
  exit: { kind: 'exited', code: 0 },
  manifest: [FILE],
  usage: USAGE,
  logTail: '',
  signature: '',
  seen: [],
  ...change,
});

const verify = () => verifier.verify({ job: 'j1', attempt: 2, manifest: [FILE] }, QUEUE);

describe('a result verified ahead of its report', () => {
  it('is asked for at once, before anything is awaited', async () => {
    const ahead = verifier.ahead('a', reportOf());
    expect(adapters.ops()).toEqual(['verify']);
    expect(await ahead).toEqual({ kind: 'verified', files: [FILE] });
    expect(runtime.clock.pending()).toBe(0);
  });

  it('V-5 is a mismatch without a declared output, and storage is not asked', async () => {
    const verification = await verifier.ahead('a', reportOf({ manifest: [] }));
    expect(verification).toMatchObject({ kind: 'mismatch', reason: expect.stringContaining(FILE.name) });
    expect(adapters.ops()).toEqual([]);
  });

  it.each<[string, string, Partial<Report>]>([
    ['another agent', 'b', {}],
    ['another attempt', 'a', { attempt: 1 }],
    ['a job nobody leased', 'a', { job: 'j2' }],
    ['a payload that failed', 'a', { exit: { kind: 'exited', code: 1 } }],
  ])('V-16 is not asked for by %s', async (_what, agent, change) => {
    expect(await verifier.ahead(agent, reportOf(change))).toBeUndefined();
    expect(adapters.ops()).toEqual([]);
  });

  it('is not asked for while storage is not there, nor a second time for the same lease', async () => {
    isOpen = false;
    expect(await verifier.ahead('a', reportOf())).toBeUndefined();
    isOpen = true;
    await verifier.ahead('a', reportOf());
    expect(await verifier.ahead('a', reportOf())).toBeUndefined();
    expect(adapters.ops()).toEqual(['verify']);
  });

  it('is unknown where storage fails, and asked for again after the report', async () => {
    adapters.play(unreachable);
    expect(await verifier.ahead('a', reportOf())).toBeUndefined();
    adapters.play(() => VERIFIED);
    expect(await verify()).toMatchObject({ kind: 'verified' });
    expect(adapters.ops()).toEqual(['verify', 'verify']);
  });

  it('holds a report up for so long and no longer, and is then waited for, not asked twice', async () => {
    let answer: (body: AnswerBody) => void = () => undefined;
    adapters.play(
      () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    );
    const ahead = verifier.ahead('a', reportOf());
    await runtime.clock.run(LONG_ENOUGH_MS);
    expect(await ahead).toBeUndefined();
    const later = verify();
    answer(VERIFIED);
    expect(await later).toMatchObject({ kind: 'verified' });
    expect(adapters.ops()).toEqual(['verify']);
  });

  it('counts for the manifest it was asked about alone', async () => {
    adapters.play(() => new Promise(() => undefined));
    const ahead = verifier.ahead('a', reportOf());
    await runtime.clock.run(LONG_ENOUGH_MS);
    await ahead;
    adapters.play(() => VERIFIED);
    const other = { ...FILE, size: FILE.size + 1 };
    await verifier.verify({ job: 'j1', attempt: 2, manifest: [other] }, QUEUE);
    expect(adapters.ops()).toEqual(['verify', 'verify']);
  });
});
