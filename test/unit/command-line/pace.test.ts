import { describe, expect, it } from 'vitest';
import { ageText, countText, sizeText, transferText } from '../../../cli/display/pace.ts';

describe('how far something long is', () => {
  it('has sizes in the unit that says them', () => {
    expect([0, 1023, 1024, 4_300, 120 * 1024 ** 2, 3 * 1024 ** 4, 5_000 * 1024 ** 4].map(sizeText)).toEqual([
      ...['0 bytes', '1023 bytes', '1.0 KiB', '4.2 KiB', '120 MiB', '3.0 TiB', '5000 TiB'],
    ]);
  });

  it('has ages in one unit', () => {
    expect([-3, 0, 99, 100, 5_999, 6_000, 172_799, 172_800].map(ageText)).toEqual([
      ...['0 s', '0 s', '99 s', '2 min', '100 min', '2 h', '48 h', '2 d'],
    ]);
  });

  it('tells rate and time left of what had to travel', () => {
    const transfer = { files: 3, filesTotal: 12, bytes: 4_194_304, bytesTotal: 12_582_912, moved: 2_097_152 };
    expect(transferText({ ...transfer, elapsedMs: 2_000 })).toBe(
      '3 of 12 files, 4.0 MiB of 12.0 MiB, 1.0 MiB/s, about 0:08 left',
    );
    expect(transferText({ ...transfer, moved: 0, elapsedMs: 2_000 })).toBe(
      '3 of 12 files, 4.0 MiB of 12.0 MiB',
    );
    const whole = { ...transfer, bytes: transfer.bytesTotal, elapsedMs: 2_000 };
    expect(transferText(whole)).toBe('3 of 12 files, 12.0 MiB of 12.0 MiB, 1.0 MiB/s');
  });

  it('tells no pace that is not known', () => {
    expect(countText('jobs', 1, 40, null)).toBe('1 of 40 jobs');
    expect(countText('jobs', 0, 40, 0)).toBe('0 of 40 jobs');
    expect(countText('jobs', 10, 40, 4)).toBe('10 of 40 jobs, 4.0 a minute, about 7:30 left');
    expect(countText('jobs', 40, 40, 400)).toBe('40 of 40 jobs, 400 a minute');
  });
});
