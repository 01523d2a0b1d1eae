import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_FLIPS } from '../../../broker/core/agent-start.ts';
import type { AgentLogin } from '../../doubles/bus-desk.ts';
import { type BusStage, openBusStage, type StagedBus, type StagedProgram } from '../../doubles/bus-stage.ts';
import { eventuallyTrue } from '../../doubles/eventually.ts';

export interface CopiedKeyOptions {
  readonly bus: () => StagedBus;
  /** A login without a session, which lies in wait; undefined where an agent has one place and the later login takes it. */
  readonly lieInWait?: (login: AgentLogin) => Promise<{ readonly isLost: boolean }>;
}

const WITHIN_MS = 10_000;
const STARTS = ['a'.repeat(26), 'b'.repeat(26)] as const;

/** What becomes of connections to a real server when two programs have one key, and when one was set back. */
export function copiedKey({ bus, lieInWait }: CopiedKeyOptions): void {
  describe('whose key two programs have', () => {
    let stage: BusStage;
    beforeEach(async () => {
      stage = await openBusStage(bus());
    });
    afterEach(() => stage.stop());

    async function expectServed({ raw, states }: StagedProgram): Promise<void> {
      raw.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
      expect(await raw.hear('none')).toMatchObject({ slot: 1, counter: 1 });
      expect(states).toEqual(['up']);
    }

    it('loses every connection by it once it is quarantined, and comes in by none; nobody else loses one', async () => {
      const [copied, honest] = [await stage.enrol(), await stage.enrol()];
      const other = await stage.program(honest);
      await other.raw.hear('welcome');
      // The first and the second start, and each that comes back before it is one too often.
      for (let turn = 0; turn < 2 + MAX_FLIPS; turn++) {
        const { raw } = await stage.program(copied, STARTS[turn % 2]);
        await raw.hear('welcome');
        await raw.vanish();
      }
      const waiting = await lieInWait?.({ user: copied.agent, password: copied.identity });
      const last = await stage.program(copied, STARTS[MAX_FLIPS % 2]);
      expect(await last.raw.hear('farewell')).toMatchObject({ code: 'QUARANTINED' });
      await eventuallyTrue('its connection to be lost', () => last.states.includes('down'), WITHIN_MS);
      await eventuallyTrue('so is the one in wait', () => waiting?.isLost !== false, WITHIN_MS);
      await eventuallyTrue(
        'the next login to be refused',
        () => stage.judged.some(({ agent, status }) => agent === copied.agent && status === 'quarantined'),
        WITHIN_MS,
      );
      expect(stage.evictions.map(({ agent }) => agent)).not.toContain(honest.agent);
      await expectServed(other);
      expect(last.states).toEqual(['up', 'down']);
    });

    it('keeps its connection where one was set back once: that is a restored snapshot', async () => {
      const [restored, revoked] = [await stage.enrol(), await stage.enrol()];
      for (const start of STARTS) {
        const { raw } = await stage.program(restored, start);
        await raw.hear('welcome');
        await raw.vanish();
      }
      const back = await stage.program(restored, STARTS[0]);
      await back.raw.hear('welcome');
      const other = await stage.program(revoked);
      await other.raw.hear('welcome');
      await stage.broker.revoke(revoked.agent, 'misbehaves');
      // Whatever had been in store for the other would have come before.
      await eventuallyTrue('the revoked one to be out', () => other.states.includes('down'), WITHIN_MS);
      expect(stage.evictions.map(({ agent }) => agent)).not.toContain(restored.agent);
      await expectServed(back);
    });
  });
}
