import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { jobId, lease, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

const LONG = { command: 'long' };
let stage: Stage;

beforeEach(async () => {
  stage = await setStage();
  stage.scripts.set('long', { afterMs: 600_000, ending: { kind: 'exited', code: 0 }, ignoresTerm: true });
});

afterEach(async () => {
  await stage.broker.stop();
});

/** Answers the release that is heard next. */
async function released(): Promise<{ readonly job: string; readonly reason: string }> {
  const release = await stage.hears('release');
  const { slot, counter, job, attempt } = release;
  stage.broker.say({ kind: 'released', slot, counter, job, attempt, verdicts: [] });
  return release;
}

describe('draining', () => {
  it('lets a job that ends in time be reported, asks for nothing more, and ends', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    await stage.until(() => stage.launcher.running === 1);
    stage.agent.drain(60_000);
    const report = await stage.hears('report');
    expect(report.next).toBeUndefined();
    stage.judges(report);
    await stage.until(() => stage.ends.length > 0);
    expect(stage.ends).toEqual([{ kind: 'drained' }]);
    expect(stage.broker.inbox).toEqual([]);
  });

  it('gives back what does not end within the grace', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, LONG));
    await stage.until(() => stage.launcher.running === 1);
    stage.agent.drain(5_000);
    expect(await released()).toMatchObject({ job: jobId(0), reason: 'drain' });
    await stage.until(() => stage.ends.length > 0);
    expect(stage.ends).toEqual([{ kind: 'drained' }]);
    expect(stage.launcher.running).toBe(0);
    expect(stage.store.places.size).toBe(0);
  });

  it('asked for a second time without grace gives everything back at once', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, LONG));
    await stage.until(() => stage.launcher.running === 1);
    stage.agent.drain(3_600_000);
    stage.agent.drain(0);
    expect(await released()).toMatchObject({ reason: 'drain' });
    expect(await stage.until(() => stage.ends.length > 0, 2_000)).toBe(true);
  });

  it('of an idle agent is over at once, and leaves no timer behind', async () => {
    await stage.start();
    await stage.hears('request');
    stage.agent.drain(60_000);
    expect(await stage.until(() => stage.ends.length > 0, 100)).toBe(true);
    await stage.broker.stop();
    expect(stage.clock.pending()).toBe(0);
  });

  it('ends though the broker is silent', async () => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0, {}, LONG));
    await stage.until(() => stage.launcher.running === 1);
    stage.network.partition(['broker']);
    stage.agent.drain(1_000);
    expect(await stage.until(() => stage.ends.length > 0, 15_000)).toBe(true);
  });

  it('before the first welcome ends at once', async () => {
    stage.network.partition(['broker']);
    await stage.start();
    stage.agent.drain(60_000);
    expect(await stage.until(() => stage.ends.length > 0, 100)).toBe(true);
  });

  it('gives back a job that came in answer to a request it had given up', async () => {
    await stage.start({ slots: 2 });
    const first = await stage.hears('request');
    const second = await stage.hears('request');
    stage.gives(first, lease(0));
    await stage.until(() => stage.launcher.running === 1);
    stage.agent.drain(60_000);
    await stage.clock.run(100);
    stage.gives(second, lease(1));
    expect(await released()).toMatchObject({ job: jobId(1), reason: 'drain' });
    expect(stage.launched).toHaveLength(1);
  });

  it.each(['notice', 'renewal'] as const)('follows the broker’s %s', async (by) => {
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    if (by === 'notice') stage.broker.say({ kind: 'notice', command: 'drain' });
    else {
      stage.broker.say({ kind: 'notice', command: 'renew-now' });
      const { counter } = await stage.hears('renew');
      const order = { job: jobId(0), attempt: 1, order: 'drain', leaseSeconds: 900 } as const;
      stage.broker.say({ kind: 'renewed', slot: 0, counter, leases: [order], verdicts: [] });
    }
    const report = await stage.hears('report');
    expect(report.next).toBeUndefined();
    stage.judges(report);
    expect(await stage.until(() => stage.ends.length > 0)).toBe(true);
    expect(stage.ends).toEqual([{ kind: 'drained' }]);
  });
});

describe('a farewell', () => {
  it.each(['REVOKED', 'SUPERSEDED', 'QUARANTINED', 'BANNED', 'OTHER_OWNER'])(
    '%s ends the agent with its jobs; the journal stays',
    async (code) => {
      await stage.start();
      stage.gives(await stage.hears('request'), lease(0, {}, LONG));
      await stage.until(() => stage.launcher.running === 1);
      stage.broker.say({ kind: 'farewell', code, message: 'enough' });
      await stage.until(() => stage.ends.length > 0);
      expect(stage.ends).toEqual([{ kind: 'dismissed', code, message: 'enough' }]);
      expect(stage.launcher.running).toBe(0);
      expect(stage.store.saved.size).toBe(1);
    },
  );

  it('in answer to a message counts the same', async () => {
    await stage.start();
    const { slot, counter } = await stage.hears('request');
    stage.broker.say({ kind: 'error', slot, counter, code: 'REVOKED', message: 'enough' });
    await stage.until(() => stage.ends.length > 0);
    expect(stage.ends).toMatchObject([{ kind: 'dismissed', code: 'REVOKED' }]);
  });

  it('IDENTITY_EXPIRED renews the identity and comes back', async () => {
    stage.broker.manners.farewell = 'IDENTITY_EXPIRED';
    await stage.start();
    await stage.until(() => stage.identityRenewals > 0);
    stage.broker.manners.farewell = undefined;
    expect(await stage.hears('request', 60_000)).toMatchObject({ slot: 1 });
    expect(stage.ends).toEqual([]);
  });

  it('whose code is not known is answered with a new session, not faster than every ten seconds', async () => {
    stage.broker.manners.farewell = 'SOMETHING_NEW';
    await stage.start();
    await stage.clock.run(60_000);
    expect(stage.ends).toEqual([]);
    expect(stage.broker.starts.length).toBeLessThan(9);
    stage.broker.manners.farewell = undefined;
    await stage.hears('request', 30_000);
  });
});
