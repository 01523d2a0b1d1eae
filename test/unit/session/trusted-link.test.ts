import { describe, expect, it } from 'vitest';
import { CoPilotError } from '../../../protocol/errors.ts';
import { bytesOf, textOf } from '../../../protocol/encoding.ts';
import {
  type AnswerBody,
  type AskItem,
  createTrustedLink,
  type TrustedLink,
} from '../../../protocol/session/trusted-link.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { silentLog } from '../../doubles/silent-log.ts';

const JOB = 'a'.repeat(26);
const discard = (attempt: number) => ({ op: 'discard', job: JOB, attempt }) as const;

/** Two ends of a link over a wire that can be cut, or held until told. */
function createStage(onAsk: (item: AskItem) => Promise<AnswerBody>) {
  const manual = createManualClock();
  // What is due at once happens at once, as under the real clock; everything later when told.
  const clock = {
    ...manual,
    schedule: (delayMs: number, action: () => void) =>
      delayMs > 0 ? manual.schedule(delayMs, action) : soon(action),
  };
  const wire = { isUp: true, isHeld: false, sent: 0, held: [] as (() => void)[] };
  const carry =
    (to: () => TrustedLink) =>
    (message: Uint8Array): boolean => {
      if (!wire.isUp) return false;
      wire.sent += 1;
      const deliver = (): void => to().receive(message);
      if (wire.isHeld) wire.held.push(deliver);
      else queueMicrotask(deliver);
      return true;
    };
  const unasked = async (): Promise<AnswerBody> => ({ result: 'ok' });
  const asking: TrustedLink = createTrustedLink({
    clock,
    log: silentLog,
    send: carry(() => answering),
    onAsk: unasked,
  });
  const answering: TrustedLink = createTrustedLink({
    clock,
    log: silentLog,
    send: carry(() => asking),
    onAsk,
  });
  return { clock, wire, asking, answering };
}

function soon(action: () => void): () => void {
  const timer = setImmediate(action);
  return () => clearImmediate(timer);
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const ok = async (): Promise<AnswerBody> => ({ result: 'ok' });

describe('trusted link', () => {
  it('answers each item by its number, in whatever order answers come', async () => {
    const late: (() => void)[] = [];
    const { asking } = createStage(async (item) => {
      if (item.op === 'discard' && item.attempt === 1)
        await new Promise<void>((resolve) => late.push(resolve));
      return item.op === 'discard' ? { result: 'mismatch', reason: String(item.attempt) } : { result: 'ok' };
    });
    const first = asking.ask(discard(1));
    await expect(asking.ask(discard(2))).resolves.toEqual({ result: 'mismatch', reason: '2' });
    late[0]?.();
    await expect(first).resolves.toEqual({ result: 'mismatch', reason: '1' });
  });

  it('batches what queued while earlier batches are unanswered, and never waits with a timer', async () => {
    const { asking, wire } = createStage(ok);
    wire.isHeld = true;
    const asked: Promise<AnswerBody>[] = [];
    for (let attempt = 1; attempt <= 500; attempt += 1) {
      asked.push(asking.ask(discard(attempt)));
      if (attempt <= 20) await turn();
    }
    await turn();
    // Eight batches may be unanswered; everything else waits for them, and then shares frames.
    expect(wire.sent).toBe(8);
    wire.isHeld = false;
    for (const deliver of wire.held.splice(0)) deliver();
    await expect(Promise.all(asked)).resolves.toHaveLength(500);
    expect(wire.sent).toBeLessThan(40);
  });

  it('asks at once while nothing else is under way', async () => {
    const { asking, wire } = createStage(ok);
    wire.isHeld = true;
    void asking.ask(discard(1));
    expect(wire.sent).toBe(1);
    void asking.ask(discard(2));
    expect(wire.sent).toBe(1);
    await turn();
    expect(wire.sent).toBe(2);
  });

  it('lets what nobody waits for go with what is asked next, or after a moment', async () => {
    const started = { op: 'started', job: JOB, attempt: 1, agent: JOB } as const;
    const seen: string[] = [];
    const { asking, wire, clock } = createStage(async (item) => {
      seen.push(item.op);
      return { result: 'ok' };
    });
    const first = asking.ask(started);
    await turn();
    expect(wire.sent).toBe(0);
    await Promise.all([asking.ask(discard(1)), first]);
    expect(seen).toEqual(['started', 'discard']);
    expect(wire.sent).toBe(2);
    const second = asking.ask(started);
    await clock.run(20);
    await expect(second).resolves.toEqual({ result: 'ok' });
    void asking.ask(started).catch(() => undefined);
    asking.close();
    await clock.run(1_000);
    expect(seen).toHaveLength(3);
  });

  it('asks again on a new session what the old one may have lost', async () => {
    const { asking, wire } = createStage(ok);
    wire.isUp = false;
    const asked = asking.ask(discard(1));
    await turn();
    wire.isUp = true;
    asking.reopened();
    await expect(asked).resolves.toEqual({ result: 'ok' });
  });

  it('asks again what stays unanswered for five seconds', async () => {
    let calls = 0;
    const { asking, wire, clock } = createStage(async () => {
      calls += 1;
      return { result: 'ok' };
    });
    wire.isHeld = true;
    const asked = asking.ask(discard(1));
    await clock.run(1);
    wire.held.length = 0;
    wire.isHeld = false;
    await clock.run(10_001);
    await expect(asked).resolves.toEqual({ result: 'ok' });
    expect(calls).toBe(1);
  });

  it('rejects after its deadline, at its bound, when too large and when closed', async () => {
    const { asking, wire, clock } = createStage(ok);
    wire.isUp = false;
    const asked = asking.ask(discard(1), 1000);
    const rejected = expect(asked).rejects.toMatchObject({ code: 'TIMEOUT' });
    await clock.run(1001);
    await rejected;
    const manifest = Array.from({ length: 64 }, () => ({
      name: 'n'.repeat(500),
      size: 1,
      sha256: '0'.repeat(64),
    }));
    await expect(asking.ask({ op: 'verify', job: JOB, attempt: 1, manifest })).rejects.toMatchObject({
      code: 'FRAME_TOO_LARGE',
    });
    const waiting = Array.from({ length: 4096 }, (_, index) => asking.ask(discard(index + 1)));
    await expect(asking.ask(discard(1))).rejects.toMatchObject({ code: 'BUS_CLOSED' });
    const settled = Promise.allSettled(waiting);
    asking.close();
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true);
    await expect(asking.ask(discard(1))).rejects.toMatchObject({ code: 'BUS_CLOSED' });
    expect(clock.pending()).toBeLessThanOrEqual(1); // the other end's own watch
  });

  it('turns a fault of the answering side into a refusal with a code, and keeps its text', async () => {
    const { asking } = createStage(async (item) => {
      if (item.op === 'discard' && item.attempt === 1)
        throw new CoPilotError('ATTEMPT_NOT_LIVE', 'finalised before');
      throw new Error('/secret/path is gone');
    });
    await expect(asking.ask(discard(1))).resolves.toMatchObject({
      result: 'refused',
      code: 'ATTEMPT_NOT_LIVE',
    });
    const internal = await asking.ask(discard(2));
    expect(internal).toMatchObject({ result: 'refused', code: 'INTERNAL' });
    expect(JSON.stringify(internal)).not.toContain('secret');
  });

  it('refuses an answer that fits no message instead of sending nothing', async () => {
    const { asking } = createStage(async () => ({ result: 'mismatch', reason: 'x'.repeat(40_000) }));
    await expect(asking.ask(discard(1))).resolves.toMatchObject({
      result: 'refused',
      code: 'FRAME_TOO_LARGE',
    });
  });

  it('ignores answers nobody waits for, and throws on what is no message', () => {
    const { asking } = createStage(ok);
    asking.receive(bytesOf('{"kind":"answers","items":[{"result":"ok","item":99}]}'));
    expect(() => asking.receive(bytesOf('{"kind":"ask","items":[]}'))).toThrow(/items/);
    expect(textOf(bytesOf('ok'))).toBe('ok');
  });
});
