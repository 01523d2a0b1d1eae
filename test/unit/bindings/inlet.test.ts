import { describe, expect, it, vi } from 'vitest';
import { Inlet, type InletOptions, SharedBound } from '../../../protocol/bindings/inlet.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

const frame = new Uint8Array(1);

function create(options: Partial<InletOptions> = {}) {
  const clock = createManualClock();
  const flow: string[] = [];
  const errors: unknown[] = [];
  const handler = vi.fn<InletOptions['handler']>();
  const inlet = new Inlet({
    clock,
    handler,
    concurrency: 4,
    flow: { pause: () => void flow.push('pause'), resume: () => void flow.push('resume') },
    onError: (error) => void errors.push(error),
    ...options,
  });
  return { clock, flow, errors, handler, inlet };
}

describe('inlet', () => {
  it('stops reading at its rate and reads again when there is room, without dropping', () => {
    const { clock, flow, handler, inlet } = create({ rate: { perSecond: 10, burst: 3 } });
    for (let at = 0; at < 5; at++) inlet.push('a', frame);
    expect(handler).toHaveBeenCalledTimes(3);
    expect([flow, inlet.waiting]).toEqual([['pause'], 2]);
    clock.advance(100);
    expect(handler).toHaveBeenCalledTimes(4);
    clock.advance(1000);
    expect(handler).toHaveBeenCalledTimes(5);
    expect(flow).toEqual(['pause', 'resume']);
  });

  it('does not read between two frames of a rate it has used up, even if nothing waits', () => {
    const { clock, flow, inlet } = create({ rate: { perSecond: 10, burst: 1 } });
    inlet.push('a', frame);
    expect(flow).toEqual(['pause']);
    clock.advance(100);
    expect(flow).toEqual(['pause', 'resume']);
  });

  it('shares a bound with others, first come first served, and wakes who waits', async () => {
    const shared = new SharedBound(2);
    const releases: (() => void)[] = [];
    const slow = (): Promise<void> => new Promise((resolve) => releases.push(resolve));
    const inlets = [1, 2, 3, 4].map(() => create({ shared, handler: slow }));
    for (const { inlet } of inlets) inlet.push('a', frame);
    expect(releases).toHaveLength(2);
    expect(inlets.map(({ inlet }) => inlet.isPaused)).toEqual([false, false, true, true]);
    releases[0]!();
    await vi.waitFor(() => expect(releases).toHaveLength(3));
    releases[1]!();
    await vi.waitFor(() => expect(releases).toHaveLength(4));
    expect(inlets.every(({ inlet }) => !inlet.isPaused)).toBe(true);
  });

  it('wakes ten thousand that wait without a call within a call for each', async () => {
    const shared = new SharedBound(1);
    const first = Promise.withResolvers<undefined>();
    const blocker = create({ shared, handler: () => first.promise.then(() => undefined) });
    blocker.inlet.push('a', frame);
    let handled = 0;
    const others = Array.from({ length: 10_000 }, () =>
      create({
        shared,
        handler: () => {
          handled++;
        },
      }),
    );
    for (const { inlet } of others) inlet.push('a', frame);
    expect(handled).toBe(0);
    first.resolve(undefined);
    await vi.waitFor(() => expect(handled).toBe(10_000));
    expect(blocker.errors).toEqual([]);
  });

  it('forgets what waits when it closes, holds no place in the shared bound and leaves no timer', async () => {
    const shared = new SharedBound(1);
    const first = Promise.withResolvers<undefined>();
    const one = create({ shared, handler: () => first.promise.then(() => undefined) });
    const other = create({ shared, rate: { perSecond: 1, burst: 1 } });
    one.inlet.push('a', frame);
    other.inlet.push('a', frame);
    other.inlet.close();
    first.resolve(undefined);
    await one.inlet.settled();
    other.inlet.push('a', frame);
    expect(other.handler).not.toHaveBeenCalled();
    expect(other.clock.pending()).toBe(0);
  });

  it('waits for handlers that run, but no longer than 5 s for one that hangs', async () => {
    const { clock, inlet } = create({ handler: () => new Promise(() => undefined) });
    inlet.push('a', frame);
    inlet.close();
    let isSettled = false;
    const settled = inlet.settled().then(() => {
      isSettled = true;
    });
    await clock.run(4999);
    expect(isSettled).toBe(false);
    await clock.run(1);
    await settled;
    expect(clock.pending()).toBe(0);
  });
});
