import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Admission, JobEnvironment } from '../../../agent/environment/job-environment.ts';
import { AGENT_EXIT, endedBy } from '../../../agent/exit-codes.ts';
import { lineOf } from '../../../agent/present.ts';
import { jobId, lease, setStage } from './stage.ts';
import type { Stage } from './stage.ts';

let stage: Stage;
let admitted: number;
let left: number;
let unfit: string | undefined;

beforeEach(async () => {
  stage = await setStage();
  admitted = 0;
  left = 0;
  unfit = undefined;
});
afterEach(() => stage.broker.stop());

function site(examines: boolean): JobEnvironment {
  return {
    examines,
    async admit(): Promise<Admission> {
      if (unfit !== undefined) return { kind: 'unfit', reason: unfit };
      admitted += 1;
      return {
        kind: 'fit',
        extras: {
          variables: { SITECONFIG_PATH: '/etc/SITECONF/local', SEED: 'the site’s' },
          readOnly: ['/etc/SITECONF/local'],
          wrap: ['/usr/bin/parrot_run', '--proxy=http://squid:3128'],
        },
        leave: () => void (left += 1),
      };
    },
  };
}

describe('what a site gives its jobs', () => {
  it('comes on top of the description, and wins', async () => {
    stage.environment = site(false);
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    await stage.hears('report');
    expect(stage.launched).toMatchObject([
      {
        command: '/usr/bin/parrot_run',
        arguments: ['--proxy=http://squid:3128', 'work', '--fast'],
        environment: { SITECONFIG_PATH: '/etc/SITECONF/local', SEED: 'the site’s', COPILOT_JOB: jobId(0) },
        readOnly: ['/opt/node/bin', '/etc/SITECONF/local'],
      },
    ]);
  });

  it('one admission is good for all jobs of a slot where none must be examined, and is left at the end', async () => {
    stage.environment = site(false);
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const report = await stage.hears('report');
    expect(report.next).toBeDefined();
    stage.judges(report, { next: lease(1) });
    await stage.hears('report');
    expect([admitted, left]).toEqual([1, 0]);
    stage.agent.drain(0);
    expect(await stage.until(() => stage.ends.length === 1, 30_000)).toBe(true);
    expect(left).toBe(1);
  });
});

describe('a site that examines its host', () => {
  it('does so before the first job and between jobs: none is asked for with a report', async () => {
    stage.environment = site(true);
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const report = await stage.hears('report');
    expect(report.next).toBeUndefined();
    expect([admitted, left]).toEqual([1, 0]);
    stage.judges(report);
    await stage.hears('request');
    expect([admitted, left]).toEqual([2, 1]);
  });

  it('an unfit host asks for no work, and the agent ends with the reason', async () => {
    unfit = 'the site’s validation failed: 10-cvmfs ended with 1: no cms.cern.ch';
    stage.environment = site(true);
    await stage.start();
    expect(await stage.until(() => stage.ends.length === 1)).toBe(true);
    expect(stage.broker.inbox).toEqual([]);
    expect(stage.ends).toEqual([{ kind: 'drained', unfit }]);
    expect(endedBy(stage.ends[0]!)).toEqual({ code: AGENT_EXIT.unfit, reason: `drained: ${unfit}` });
    const draining = stage.events.find(({ kind }) => kind === 'draining');
    expect(draining).toEqual({ kind: 'draining', reason: unfit });
    expect(lineOf(draining!)).toBe(`taking no new work: ${unfit}`);
  });

  it('one that becomes unfit reports its job, and takes no more', async () => {
    stage.environment = site(true);
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    const report = await stage.hears('report');
    unfit = 'no disk';
    stage.judges(report);
    expect(await stage.until(() => stage.ends.length === 1)).toBe(true);
    expect(stage.ends).toEqual([{ kind: 'drained', unfit: 'no disk' }]);
  });

  it('jobs of other slots go on to their end', async () => {
    const own = site(true);
    let asked = 0;
    stage.environment = {
      ...own,
      admit: (signal) => (asked++ === 1 ? onceSaid(() => unfit) : own.admit(signal)),
    };
    stage.scripts.set('/usr/bin/parrot_run', { afterMs: 60_000, ending: { kind: 'exited', code: 0 } });
    await stage.start({ slots: 2 });
    stage.gives(await stage.hears('request'), lease(0));
    expect(await stage.until(() => stage.launched.length === 1)).toBe(true);
    unfit = 'no disk';
    expect(await stage.until(() => stage.events.some(({ kind }) => kind === 'draining'))).toBe(true);
    expect((await stage.hears('renew', 40_000)).leases).toHaveLength(1);
    expect(stage.ends).toEqual([]);
    const isReported = (): boolean => stage.broker.inbox.some(({ kind }) => kind === 'report');
    expect(await stage.until(isReported, 40_000)).toBe(true);
  });

  it('a job that an earlier start left is given back where the host has become unfit', async () => {
    stage.scripts.set('/usr/bin/parrot_run', { afterMs: 600_000, ending: { kind: 'exited', code: 0 } });
    stage.environment = site(true);
    await stage.start();
    stage.gives(await stage.hears('request'), lease(0));
    await stage.until(() => stage.launched.length === 1);
    stage.crash();
    unfit = 'no disk';
    stage.broker.manners.welcome.held = [{ job: jobId(0), attempt: 1 }];
    await stage.start();
    expect(await stage.hears('release', 60_000)).toMatchObject({ job: jobId(0), reason: 'drain' });
  });
});

/** Unfit as soon as there is a reason. */
async function onceSaid(reason: () => string | undefined): Promise<Admission> {
  for (;;) {
    const said = reason();
    if (said !== undefined) return { kind: 'unfit', reason: said };
    await new Promise((resolve) => setImmediate(resolve));
  }
}
