import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { readBody } from '../../../adapters/storage/bridge/body.ts';
import { DEFAULT_LIMITS } from '../../../adapters/storage/bridge/limits.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const limits = { ...DEFAULT_LIMITS, idleMs: 30_000, minimumBytesPerSecond: 1000, maxUploadMs: 100_000 };

function open(length: number) {
  const clock = createManualClock();
  const stream = new PassThrough();
  const controller = new AbortController();
  const taken: number[] = [];
  const take = (chunk: Uint8Array): Promise<void> => {
    taken.push(...chunk);
    return Promise.resolve();
  };
  const reading = readBody({ stream, length }, take, { clock, limits, signal: controller.signal });
  const settled = reading.then(
    () => 'done',
    (error: unknown) => error,
  );
  return { clock, stream, controller, taken, settled };
}

describe('reading a body', () => {
  it('hands every byte over in order, and leaves no timer', async () => {
    const { clock, stream, taken, settled } = open(4);
    stream.write(Uint8Array.of(1, 2));
    stream.end(Uint8Array.of(3, 4));
    expect(await settled).toBe('done');
    expect(taken).toEqual([1, 2, 3, 4]);
    expect(clock.pending()).toBe(0);
  });

  it('waits for each piece to be taken before it reads the next', async () => {
    const clock = createManualClock();
    const stream = new PassThrough({ highWaterMark: 2 });
    let release: () => void = () => undefined;
    let pieces = 0;
    const take = (): Promise<void> => {
      pieces++;
      return new Promise((resolve) => (release = resolve));
    };
    const reading = readBody({ stream, length: 4 }, take, {
      clock,
      limits,
      signal: new AbortController().signal,
    });
    stream.write(Uint8Array.of(1, 2));
    await clock.run(0);
    stream.end(Uint8Array.of(3, 4));
    await clock.run(1000);
    expect(pieces).toBe(1);
    release();
    await clock.run(0);
    expect(pieces).toBe(2);
    release();
    await reading;
  });

  it('that brings nothing for 30 s is stalled', async () => {
    const { clock, stream, settled } = open(1e9);
    stream.write(Uint8Array.of(1));
    await clock.run(29_000);
    stream.write(Uint8Array.of(2));
    await clock.run(29_000);
    expect(stream.destroyed).toBe(false);
    await clock.run(10_000);
    expect(await settled).toMatchObject({ code: 'UPLOAD_STALLED' });
    expect(clock.pending()).toBe(0);
  });

  it('that dribbles is stalled, though it never pauses', async () => {
    const { clock, stream, settled } = open(2000);
    for (let second = 0; second < 45; second++) {
      stream.write(Uint8Array.of(1));
      await clock.run(1000);
    }
    expect(await settled).toMatchObject({ code: 'UPLOAD_STALLED' });
  });

  it('ends at the longest an upload may take, however long it is (I6)', async () => {
    const { clock, stream, settled } = open(1e12);
    for (let second = 0; second < 110; second++) {
      stream.write(new Uint8Array(2000));
      await clock.run(1000);
    }
    expect(await settled).toMatchObject({ code: 'UPLOAD_STALLED' });
  });

  it('does not blame the sender for a slow disk', async () => {
    const clock = createManualClock();
    const stream = new PassThrough();
    let release: () => void = () => undefined;
    const take = (): Promise<void> => new Promise((resolve) => (release = resolve));
    const reading = readBody({ stream, length: 50_000 }, take, {
      clock,
      limits,
      signal: new AbortController().signal,
    });
    stream.end(Uint8Array.of(1));
    await clock.run(60_000);
    release();
    await reading;
  });

  it('whose sender goes away is over', async () => {
    const { stream, settled } = open(10);
    stream.write(Uint8Array.of(1));
    stream.destroy();
    expect(await settled).toMatchObject({ code: 'UNREACHABLE' });
  });

  it('whose sender goes away while a piece is being taken is over only when the piece is', async () => {
    const stream = new PassThrough();
    const clock = createManualClock();
    let release: () => void = () => undefined;
    let outcome = 'reading';
    const take = (): Promise<void> => new Promise((resolve) => (release = resolve));
    const guard = { clock, limits, signal: new AbortController().signal };
    const reading = readBody({ stream, length: 10 }, take, guard).catch(() => (outcome = 'failed'));
    stream.write(Uint8Array.of(1));
    await clock.run(0);
    stream.destroy();
    await clock.run(0);
    expect(outcome).toBe('reading');
    release();
    await reading;
    expect(outcome).toBe('failed');
  });

  it('that is aborted ends with the reason, its stream still whole', async () => {
    const { stream, controller, settled } = open(10);
    controller.abort(new Error('closed'));
    expect(await settled).toMatchObject({ message: 'closed' });
    expect(stream.destroyed).toBe(false);
  });

  it('fails as taking a piece fails', async () => {
    const stream = new PassThrough();
    const guard = { clock: createManualClock(), limits, signal: new AbortController().signal };
    const reading = readBody({ stream, length: 1 }, () => Promise.reject(new Error('full')), guard);
    stream.end(Uint8Array.of(1));
    await expect(reading).rejects.toThrow('full');
  });
});
