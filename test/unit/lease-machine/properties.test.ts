import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFinal } from '../../../broker/core/audit.ts';
import type { Command } from '../../../broker/core/command.ts';
import { duties } from '../../../broker/core/duties.ts';
import type { Attempt, JobRow, JobState } from '../../../broker/core/state.ts';
import { isTransition, TRANSITIONS } from '../../../broker/core/transitions.ts';
import { events, letLeasesEnd, play } from './random-events.ts';
import { createWorld, type Step, told, type World } from './world.ts';

const seed = Number(process.env.SEED ?? Date.now() % 0x7fffffff);
const RUNS = 1_000;
/** Fixed, since it is about the events' reach and not about the machine. */
const REACHING = { seed: 1, numRuns: 2_000 };

/** Plays random events; `watch` sees every step, `finish` the world afterwards. */
function always(
  watch: (step: Step, world: World) => void,
  finish: (world: World) => void = () => undefined,
  parameters = { seed, numRuns: RUNS },
) {
  return () => {
    fc.assert(
      fc.property(events, (played) => {
        const world = createWorld();
        play(world, played, (step) => {
          watch(step, world);
        });
        finish(world);
      }),
      parameters,
    );
  };
}

describe(`random events, duplicated, reordered, stale and forged (SEED=${seed})`, () => {
  it(
    'I1 at most one live attempt, and attempt numbers only rise',
    always(({ changes }) => {
      for (const { before, after } of changes) {
        expect(count(after, 'live')).toBeLessThanOrEqual(1);
        expect(after.lastAttempt).toBeGreaterThanOrEqual(before?.lastAttempt ?? 0);
        const old = new Set(before?.attempts.map(({ number }) => number));
        for (const { number } of after.attempts)
          if (!old.has(number)) expect(number).toBe((before?.lastAttempt ?? 0) + 1);
      }
    }),
  );

  it(
    'I2 only the holder of the live attempt, in time and with its current start, changes it',
    always((step) => {
      for (const { before } of step.changes) if (before !== undefined) expectRight(step, before);
    }),
  );

  it(
    'I3 one result at most, and nothing changes it',
    always(({ changes }) => {
      for (const { before, after } of changes) {
        expect(count(after, 'committing') + count(after, 'committed')).toBeLessThanOrEqual(1);
        const result = before?.attempts.find(({ state }) => state === 'committed');
        if (result !== undefined) expect(after.attempts).toContainEqual(result);
        const rival = before?.attempts.find(({ state }) => state === 'committing');
        if (rival !== undefined)
          expect(after.attempts.filter(({ number }) => number > rival.number)).toEqual([]);
      }
    }),
  );

  it(
    'I4 after one lease and one sweep every job is available, has a duty that drives it, or has ended with a reason',
    always(
      () => undefined,
      (world) => {
        letLeasesEnd(world, () => undefined);
        for (const job of world.jobs()) expect(isAccountedFor(job), JSON.stringify(job)).toBe(true);
      },
    ),
  );

  it(
    'I5 every end is told until acknowledged, and telling it again is harmless',
    always(
      () => undefined,
      (world) => {
        for (const { id, state } of world.jobs().filter(hasEnded)) {
          if (!world.job(id).told) expect(duties(world.job(id))).toContainEqual({ kind: 'tell' });
          world.do(told(id));
          expect(duties(world.job(id))).not.toContainEqual({ kind: 'tell' });
          expect(world.do(told(id, 'refused', 'late')).isChanged).toBe(false);
          expect(world.job(id).state).toBe(state === 'committed' ? 'told' : state);
        }
      },
    ),
  );

  it(
    'I9 rows stay within their bounds and jobs, agents and owners tell the same story',
    always((step, world) => {
      if (step.isChanged) expect(world.faults()).toEqual([]);
    }),
  );

  it(
    'no job changes outside the table of transitions',
    always(({ command, changes }) => {
      for (const { before, after } of changes) {
        const from = before?.state ?? 'none';
        expect(isTransition(from, command.kind, after.state), `${from} ${command.kind} ${after.state}`).toBe(
          true,
        );
      }
    }),
  );

  it(
    'a command given twice at once changes nothing the second time',
    always(({ command, nowMs }, world) => {
      if (isRenewal(command)) return;
      expect(world.do(command).isChanged, `${JSON.stringify(command)} at ${nowMs}`).toBe(false);
    }),
  );

  it(
    'a refusal and an unchanged outcome change nothing, save the refusal that quarantines',
    always(({ outcome, isChanged }) => {
      if (outcome.kind === 'refused' && outcome.code === 'QUARANTINED') return;
      if (outcome.kind === 'refused' || outcome.kind === 'unchanged' || outcome.kind === 'repeat')
        expect(isChanged).toBe(false);
    }),
  );

  it('random events reach every row of the table, but for replicas', () => {
    const reached = new Set<string>();
    const collect = always(
      ({ command, changes }) => {
        for (const { before, after } of changes)
          reached.add(keyOf({ from: before?.state ?? 'none', event: command.kind, to: after.state }));
      },
      undefined,
      REACHING,
    );
    collect();
    const missing = TRANSITIONS.filter(({ from }) => from !== 'waiting')
      .map(keyOf)
      .filter((key) => !reached.has(key));
    expect(missing).toEqual([]);
  });
});

function keyOf(transition: { from: string; event: string; to: JobState }): string {
  return `${transition.from} ${transition.event} ${transition.to}`;
}

function count(job: JobRow, state: Attempt['state']): number {
  return job.attempts.filter((attempt) => attempt.state === state).length;
}

/** These move a deadline to now and a lease, hence change a row whenever they come. */
function isRenewal({ kind }: Command): boolean {
  return kind === 'renew' || kind === 'grace';
}

function expectRight({ command, agentBefore, nowMs }: Step, before: JobRow): void {
  if (command.kind !== 'renew' && command.kind !== 'report' && command.kind !== 'release') return;
  const attempt = before.attempts.find(({ number }) => number === command.attempt);
  expect(attempt).toMatchObject({ state: 'live', agent: command.agent });
  expect(attempt?.deadlineMs).toBeGreaterThanOrEqual(nowMs);
  expect(agentBefore).toMatchObject({ id: command.agent, start: command.start });
  expect(agentBefore?.status).toMatch(/^(active|draining)$/);
}

function hasEnded(job: JobRow): boolean {
  return job.state === 'committed' || isFinal(job.state);
}

function isAccountedFor(job: JobRow): boolean {
  if (job.state === 'queued') return true;
  if (job.state === 'failed') return job.reason !== '';
  if (hasEnded(job)) return true;
  const isDriven = duties(job).some(({ kind }) => kind === 'verify' || kind === 'finalise');
  const isAborting = job.state === 'committing' && duties(job).some(({ kind }) => kind === 'discard');
  return isDriven || isAborting;
}
