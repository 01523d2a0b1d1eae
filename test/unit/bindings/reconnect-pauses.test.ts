import { describe, expect, it } from 'vitest';
import { ReconnectPauses } from '../../../protocol/bindings/reconnect-pauses.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';

function create(byte: number) {
  const clock = createManualClock();
  return { clock, pauses: new ReconnectPauses({ clock, random: { bytes: () => new Uint8Array([byte]) } }) };
}

describe('the pauses between attempts to connect', () => {
  it('double from half a second to fifteen, with half of each left to chance', () => {
    const [most, least] = [create(255).pauses, create(0).pauses];
    const longest = Array.from({ length: 7 }, () => most.nextMs());
    expect(longest).toEqual([500, 1000, 2000, 4000, 8000, 15_000, 15_000]);
    expect(Array.from({ length: 7 }, () => least.nextMs())).toEqual(longest.map((ms) => ms / 2));
  });

  it('begin anew after a connection that held, and almost so after one that served', () => {
    const { clock, pauses } = create(255);
    for (let failure = 0; failure < 5; failure++) pauses.nextMs();
    pauses.connected();
    pauses.served();
    expect(pauses.nextMs()).toBe(1000);
    pauses.connected();
    expect(pauses.nextMs()).toBe(2000);
    pauses.connected();
    clock.advance(10_000);
    expect(pauses.nextMs()).toBe(500);
  });
});
