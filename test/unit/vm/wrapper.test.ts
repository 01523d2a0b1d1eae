import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PresentedEvent } from '../../../agent/present.ts';
import { beginWrapperDuty, type WrapperDuty } from '../../../agent/vm/wrapper-duty.ts';
import { createWrapperFiles, type WrapperFiles } from '../../../agent/vm/wrapper-files.ts';
import { createManualClock, type ManualClock } from '../../doubles/manual-clock.ts';
import { createSeededRandom } from '../../doubles/seeded-random.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';
import { startVboxwrapper, type Vboxwrapper } from '../../doubles/vboxwrapper.ts';

const MINUTE_MS = 60_000;
const JOB = { heartbeatSeconds: 1200 };

let directory: string;
let host: ManualClock;
let guest: ManualClock;
let wrapper: Vboxwrapper;
let writes: Promise<unknown>[];
let drained: number;
/** By how much the guest's monotonic clock went ahead of its timers. */
let jumpMs: number;

beforeEach(async () => {
  directory = await temporaryDirectory('shared');
  host = createManualClock();
  guest = createManualClock();
  wrapper = startVboxwrapper(directory, host, JOB);
  writes = [];
  drained = 0;
  jumpMs = 0;
});
afterEach(async () => {
  wrapper.stop();
  await removeDirectory(directory);
});

/** Every write is waited for before time goes on. */
function noted(files: WrapperFiles): WrapperFiles {
  const note = <T>(write: Promise<T>): Promise<T> => {
    writes.push(write.catch(() => undefined));
    return write;
  };
  return {
    ...files,
    beat: () => note(files.beat()),
    tellFraction: (fraction) => note(files.tellFraction(fraction)),
  };
}

function begin(more: { readonly hours?: number; readonly idleMinutes?: number } = {}): Promise<WrapperDuty> {
  const clock = { ...guest, monotonicMs: () => guest.monotonicMs() + jumpMs };
  return beginWrapperDuty({
    runtime: { clock, random: createSeededRandom(5), log: silentLog },
    files: noted(createWrapperFiles(directory)),
    idleMinutes: more.idleMinutes ?? 100_000,
    ...(more.hours !== undefined && { hours: more.hours }),
    drain: () => (drained += 1),
  });
}

/** Minutes of the host, in which the guest runs or is paused. */
async function pass(minutes: number, runs = true): Promise<void> {
  for (let minute = 0; minute < minutes; minute++) {
    host.advance(MINUTE_MS);
    if (runs) guest.advance(MINUTE_MS);
    while (writes.length > 0) await Promise.all(writes.splice(0));
  }
}

const slot = (phase: 'asking' | 'running'): PresentedEvent => ({ kind: 'slot', slot: 1, phase });
const ended = (code: number, reason: string): PresentedEvent => ({ kind: 'ended', code, reason });

describe('the heartbeat', () => {
  it('keeps the machine alive for hours, and its want ends it', async () => {
    const duty = await begin();
    await pass(180);
    expect(wrapper.end).toBeUndefined();
    // The agent hangs: its timers do not fire any more.
    await pass(60, false);
    expect(wrapper.end).toEqual({ kind: 'heartbeat late' });
    duty.onEvent(ended(0, 'drained'));
    await duty.finish();
    expect(guest.pending()).toBe(0);
  });

  it('is missed where no agent ever began', async () => {
    await pass(30);
    expect(wrapper.end).toEqual({ kind: 'heartbeat missing' });
  });

  it('goes on after a pause of hours, which is no time worked, and after jumps of the clocks', async () => {
    await begin({ hours: 10 });
    await pass(30);
    wrapper.pause();
    await pass(600, false);
    wrapper.resume();
    guest.jumpWall(36_000_000);
    await pass(60);
    jumpMs = 20 * 3_600_000;
    await pass(30);
    guest.jumpWall(-72_000_000);
    await pass(60);
    expect(wrapper.end).toBeUndefined();
    expect(drained).toBe(0);
    expect(wrapper.fraction).toBeCloseTo(0.3, 2);
  });

  it('is an error at the start where the directory cannot be written', async () => {
    await removeDirectory(directory);
    await expect(begin()).rejects.toMatchObject({ code: 'INVALID_CONTEXT' });
  });

  it('that fails later fails alone', async () => {
    const duty = await begin({ hours: 1 });
    await removeDirectory(directory);
    await pass(60);
    expect(drained).toBe(1);
    await duty.finish();
  });
});

describe('the end of the task', () => {
  it('comes after the hours that were said, told bit by bit, with code 0', async () => {
    const duty = await begin({ hours: 2 });
    await pass(60);
    expect([wrapper.fraction, drained]).toEqual([0.5, 0]);
    await pass(60);
    expect([wrapper.fraction, drained]).toEqual([1, 1]);
    duty.onEvent(ended(0, 'drained'));
    await duty.finish();
    await pass(1);
    expect(wrapper.end).toEqual({
      kind: 'finished',
      code: 0,
      notice: false,
      message: 'co-pilot: drained',
    });
  });

  it('counts what earlier starts of the machine worked', async () => {
    await begin({ hours: 2 });
    await pass(90);
    guest = createManualClock();
    await begin({ hours: 2 });
    await pass(29);
    expect(drained).toBe(0);
    await pass(1);
    expect(drained).toBe(1);
  });

  it.each(['', 'NaN', '-1', '1e9', '0x1', '9'.repeat(500), '\0\0\0', '0.5 x'])(
    'begins anew where the fraction is %j',
    async (text) => {
      await writeFile(join(directory, 'fraction_done'), text);
      expect(await createWrapperFiles(directory).lastFraction()).toBe(0);
    },
  );

  it('is told as a failure to begin, with the reason on one line', async () => {
    const duty = await begin();
    duty.onEvent(ended(69, `ENROLMENT_REFUSED: no\n0\nfinished\u2028${'x'.repeat(500)}`));
    await duty.finish();
    await pass(1);
    expect(wrapper.end).toMatchObject({ kind: 'finished', code: 206, notice: true });
    const { message } = wrapper.end as { message: string };
    expect(message).toMatch(/^co-pilot: ENROLMENT_REFUSED: no 0 finished x+$/);
    expect(message.length).toBeLessThanOrEqual(200);
  });

  it('is whole when it is there: it is written under another name', async () => {
    await mkdir(join(directory, 'shutdown.new'));
    const files = createWrapperFiles(directory);
    await expect(files.complete(0, '')).rejects.toThrow();
    expect(await readdir(directory)).toEqual(['shutdown.new']);
    await files.leave(60, 'later');
    expect(await readFile(join(directory, 'temporary_exit'), 'utf8')).toBe('60\n0\nlater\n');
    expect(await readdir(directory)).toEqual(['shutdown.new', 'temporary_exit']);
  });
});

describe('a machine without work', () => {
  it('is put away for an hour or a little more, and no longer counts as done', async () => {
    const duty = await begin({ hours: 10, idleMinutes: 30 });
    duty.onEvent(slot('asking'));
    await pass(29);
    expect(drained).toBe(0);
    await pass(1);
    expect(drained).toBe(1);
    duty.onEvent(ended(0, 'drained'));
    await duty.finish();
    await pass(1);
    expect(wrapper.end).toMatchObject({ kind: 'away', notice: false });
    const { seconds } = wrapper.end as { seconds: number };
    expect(seconds).toBeGreaterThanOrEqual(3_600);
    expect(seconds).toBeLessThanOrEqual(4_500);
    expect(await readdir(directory)).not.toContain('temporary_exit');
  });

  it('stays where a job runs, and its wait begins anew after it', async () => {
    const duty = await begin({ idleMinutes: 30 });
    await pass(20);
    duty.onEvent(slot('running'));
    await pass(300);
    duty.onEvent(slot('asking'));
    await pass(29);
    expect(drained).toBe(0);
    await pass(1);
    expect(drained).toBe(1);
  });
});
