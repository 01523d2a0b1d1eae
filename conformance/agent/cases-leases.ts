import type { Exit, Lease } from '../../protocol/generated/types.ts';
import { expect, pause } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { cancel, holds, renewalOf, succeeds } from './deeds.ts';
import { leaseOf, script, uniqueBytes } from './jobs.ts';
import { CANARY } from './program.ts';
import type { Stage } from './stage.ts';

/** L: leases, renewals, orders, and what a job is given. */
export const leaseCases: readonly AgentCase[] = [
  {
    id: 'AGT-L-001',
    title: 'runs a job from its input to its output, and reports it',
    requirements: ['V-1', 'V-2', 'C-2', 'C-3', 'C-10', 'M-18'],
    level: 'core',
    async run(stage) {
      const bytes = uniqueBytes(stage.runtime.random);
      const lease = await stage.gives(
        script('cat in.dat in.dat > out.dat', {
          inputs: [{ name: 'in.dat', bytes }],
          outputs: [{ name: 'out.dat' }],
        }),
      );
      await succeeds(stage, lease);
      const made = Buffer.from(stage.storage.uploaded(lease, 'out.dat') ?? new Uint8Array());
      expect(made.equals(Buffer.concat([bytes, bytes])), 'its output is not what the job made');
    },
  },
  {
    id: 'AGT-L-002',
    title: 'runs an input as the program, and passes the arguments as they are',
    requirements: ['L-16'],
    level: 'core',
    async run(stage) {
      const text = '#!/bin/sh\nfor word in "$@"; do echo "<$word>"; done > out.txt\n';
      const lease = await stage.gives({
        command: './tell',
        arguments: ['one two', '$HOME', '*', "it's", '--', ''],
        inputs: [{ name: 'tell', bytes: Buffer.from(text), executable: true }],
        outputs: [{ name: 'out.txt' }],
      });
      await succeeds(stage, lease);
      const said = Buffer.from(stage.storage.uploaded(lease, 'out.txt') ?? new Uint8Array()).toString();
      expect(
        said === "<one two>\n<$HOME>\n<*>\n<it's>\n<-->\n<>\n",
        `the job was told ${JSON.stringify(said)}`,
      );
    },
  },
  {
    id: 'AGT-L-003',
    title: 'gives a job the environment of its description, who it is, and nothing of its own',
    requirements: ['L-16'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives(
        script('env > env.txt', { environment: { FLAVOUR: 'a b\u00e9' }, outputs: [{ name: 'env.txt' }] }),
      );
      const { slot } = await stage.report(lease).then((report) => report);
      const said = Buffer.from(stage.storage.uploaded(lease, 'env.txt') ?? new Uint8Array()).toString();
      const lines = said.split('\n');
      for (const line of [
        'FLAVOUR=a b\u00e9',
        `COPILOT_JOB=${lease.job}`,
        `COPILOT_ATTEMPT=${lease.attempt}`,
        `COPILOT_SLOT=${slot}`,
      ])
        expect(lines.includes(line), `the job's environment has no ${line}`);
      expect(!said.includes(CANARY), "the job saw the agent's own environment");
    },
  },
  ...['/bin/sh', '../sh', 'bin/sh', './not-an-input'].map(
    (command, index): AgentCase => ({
      id: `AGT-L-00${index + 4}`,
      title: `refuses the command ${command}`,
      requirements: ['L-16'],
      level: 'full',
      async run(stage) {
        const lease = await stage.gives({
          command,
          arguments: ['-c', 'echo done > out.txt'],
          outputs: [{ name: 'out.txt', optional: true }],
        });
        await doesNotSucceed(stage, lease);
      },
    }),
  ),
  {
    id: 'AGT-L-008',
    title: 'runs a lease that comes again once',
    requirements: ['L-11'],
    level: 'full',
    async run(stage) {
      const { slot, counter } = await stage.parked();
      const lease = await stage.gives(script('sleep 2; cat /proc/sys/kernel/random/uuid > id.txt', ID));
      const again = { kind: 'job', slot, counter, lease, verdicts: [] };
      for (let n = 0; n < 3; n += 1) stage.say(again);
      await succeeds(stage, lease);
      stage.say(again);
      await stage.parked();
      await stage.never(() => {
        const reports = stage.clerk
          .since('report', 0)
          .filter(({ message, isRepeat }) => message.job === lease.job && !isRepeat);
        return reports.length > 1 ? 'it reported the attempt twice' : undefined;
      }, 4000);
      const uploads = stage.storage.visits.filter(
        ({ method, path, status }) => method === 'PUT' && path.includes(lease.job) && status === 201,
      );
      expect(uploads.length === 1, `it uploaded its output ${uploads.length} times`);
    },
  },
  {
    id: 'AGT-L-009',
    title: 'does not run an attempt again that it has reported, though a request is answered with it',
    requirements: ['L-11'],
    level: 'robust',
    start: 'spent',
    async run(stage) {
      const lease = await stage.gives(script('cat /proc/sys/kernel/random/uuid > id.txt', ID));
      stage.clerk.deal(lease).verdict = 'verifying';
      await stage.report(lease);
      await stage.parked();
      const fromMs = performance.now();
      stage.clerk.give(lease);
      await stage.never(
        () =>
          stage.storage.visits.some(
            ({ method, path, atMs }) => method === 'PUT' && atMs > fromMs && path.includes(lease.job),
          )
            ? 'it ran the attempt again'
            : undefined,
        4000,
      );
    },
  },
  {
    id: 'AGT-L-010',
    title: 'renews for the first time within firstRenewSeconds',
    requirements: ['L-2'],
    level: 'core',
    async run(stage) {
      const fromMs = performance.now();
      const lease = await stage.gives(script('sleep 8', { firstRenewSeconds: 4, leaseSeconds: 60 }));
      const { atMs } = await renewalOf(stage, lease, 6000);
      expect(atMs - fromMs < 4000, `it renewed after ${Math.round(atMs - fromMs)} ms`);
      await cancel(stage, lease.job);
    },
  },
  {
    id: 'AGT-L-011',
    title: 'renews for the first time at about half of firstRenewSeconds',
    requirements: ['L-3'],
    level: 'robust',
    async run(stage) {
      const fromMs = performance.now();
      const lease = await stage.gives(script('sleep 12', { firstRenewSeconds: 6, leaseSeconds: 300 }));
      const { atMs } = await renewalOf(stage, lease, 8000);
      const afterMs = atMs - fromMs;
      expect(afterMs > 1500 && afterMs < 4500, `it renewed after ${Math.round(afterMs)} ms`);
      await cancel(stage, lease.job);
    },
  },
  {
    id: 'AGT-L-012',
    title: 'renews again and again, each time before the lease ends',
    requirements: ['L-3', 'L-6'],
    level: 'core',
    async run(stage) {
      let lastMs = performance.now();
      const lease = await stage.gives(script('sleep 30', { firstRenewSeconds: 3, leaseSeconds: 3 }));
      for (let n = 0; n < 4; n += 1) {
        const { atMs } = await renewalOf(stage, lease, 4000);
        expect(atMs - lastMs < 3000, `${Math.round(atMs - lastMs)} ms passed without a renewal`);
        lastMs = atMs;
      }
      await cancel(stage, lease.job);
    },
  },
  {
    id: 'AGT-L-013',
    title: 'renews about once in a third of the lease, not much more often',
    requirements: ['L-3'],
    level: 'robust',
    async run(stage) {
      const lease = await stage.gives(script('sleep 30', { firstRenewSeconds: 60, leaseSeconds: 6 }));
      await renewalOf(stage, lease, 5000);
      const fromMs = performance.now();
      await pause(8000, stage.signal);
      const renewals = stage.clerk.since('renew', fromMs).filter(({ isRepeat }) => !isRepeat).length;
      expect(renewals >= 2 && renewals <= 8, `it renewed ${renewals} times in 8 s a lease of 6 s`);
      await cancel(stage, lease.job);
    },
  },
  ...(
    [
      ['cancel', 'stops a job that a renewal orders to cancel, and reports nothing'],
      ['unnamed', 'takes a lease that a renewal does not name for cancelled'],
    ] as const
  ).map(
    ([how, title], index): AgentCase => ({
      id: `AGT-L-02${index + 1}`,
      title,
      requirements: ['L-6', 'L-9'],
      level: index === 0 ? 'core' : 'full',
      async run(stage) {
        const lease = await stage.gives(script('sleep 60', { firstRenewSeconds: 2, leaseSeconds: 60 }));
        const deal = stage.clerk.deal(lease);
        if (how === 'cancel') deal.order = 'cancel';
        else
          stage.clerk.manners.renew = ({ slot, counter }) => {
            deal.state = 'ended';
            return { kind: 'renewed', slot, counter, leases: [], verdicts: [] };
          };
        await renewalOf(stage, lease, 4000);
        await stage.parked(15_000);
        const reports = stage.clerk.since('report', 0).filter(({ message }) => message.job === lease.job);
        expect(reports.length === 0, 'it reported an attempt that was cancelled');
        await stage.proves();
      },
    }),
  ),
  {
    id: 'AGT-L-023',
    title: 'goes on with a job that a renewal orders to drain, reports it, and takes no other',
    requirements: ['L-6'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const lease = await stage.gives(script('sleep 4', { firstRenewSeconds: 2 }));
      stage.clerk.deal(lease).order = 'drain';
      await renewalOf(stage, lease, 4000);
      const fromMs = performance.now();
      const { next } = await stage.report(lease);
      expect(next === undefined, 'it asked for the next job in its report');
      await stage.never(
        () => (stage.clerk.since('request', fromMs).length > 0 ? 'it asked for work' : undefined),
        2000,
      );
    },
  },
  {
    id: 'AGT-L-024',
    title: 'goes on with a job while no renewal is answered, though its lease is over by its own clock',
    requirements: ['L-7'],
    level: 'robust',
    async run(stage) {
      stage.clerk.manners.renew = () => 'nothing';
      const lease = await stage.gives(script('sleep 6', { firstRenewSeconds: 2, leaseSeconds: 2 }));
      await succeeds(stage, lease, 25_000);
    },
  },
  {
    id: 'AGT-L-025',
    title: 'lets go of an attempt whose capabilities are refused with ATTEMPT_NOT_LIVE',
    requirements: ['M-19', 'L-13'],
    level: 'full',
    async run(stage) {
      stage.clerk.manners.outputs = ({ slot, counter, job, attempt }) => {
        const deal = stage.clerk.dealOf({ job, attempt });
        if (deal !== undefined) deal.state = 'ended';
        return { kind: 'error', slot, counter, code: 'ATTEMPT_NOT_LIVE', message: 'as the case says' };
      };
      const lease = await stage.gives(
        script('true', {
          inputs: [{ name: 'in', bytes: uniqueBytes(stage.runtime.random) }],
          withCapabilities: false,
        }),
      );
      await stage.hears('outputs', ({ message }) => message.job === lease.job, 20_000);
      await stage.parked(15_000);
      const reports = stage.clerk.since('report', 0).filter(({ message }) => message.job === lease.job);
      expect(reports.length === 0, 'it reported an attempt that is not its own');
    },
  },
  {
    id: 'AGT-L-031',
    title: 'ends a job at the limit of its time, and says that this limit was reached',
    requirements: ['L-17'],
    level: 'full',
    run: (stage) => reachesLimit(stage, 'sleep 60', { wallSeconds: 2 }, ['wall']),
  },
  {
    id: 'AGT-L-032',
    title: 'ends a job that writes more than it may, and says which limit was reached',
    requirements: ['L-17'],
    level: 'robust',
    run: (stage) =>
      reachesLimit(
        stage,
        'n=0; while true; do n=$((n+1)); cat /bin/sh /bin/sh /bin/sh > big$n; done',
        { diskMiB: 8, wallSeconds: 15 },
        ['disk', 'output'],
      ),
  },
  {
    id: 'AGT-L-041',
    title: 'gives back what it is drained out of, or ends it, when it is told to end',
    requirements: ['L-10'],
    level: 'full',
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      const lease = await holds(stage, script('sleep 20'));
      const fromMs = performance.now();
      stage.program?.signal('SIGTERM');
      await stage.until('its end', () => stage.program?.ended, 40_000);
      const released = stage.clerk.since('release', fromMs).some(({ message }) => message.job === lease.job);
      const reported = stage.clerk.since('report', fromMs).some(({ message }) => message.job === lease.job);
      expect(released || reported, 'it left with a live attempt and told nobody');
    },
  },
  {
    id: 'AGT-L-042',
    title: 'ends with code 0 when it is told to end and has nothing to do',
    requirements: ['L-10'],
    level: 'core',
    start: 'spent',
    async run(stage) {
      await stage.parked();
      stage.program?.signal('SIGTERM');
      const { code, signal } = await stage.until('its end', () => stage.program?.ended, 20_000);
      expect(code === 0, `it ended with ${code === null ? String(signal) : `code ${code}`}`);
    },
  },
  {
    id: 'AGT-L-043',
    title: 'asks for no work once it is told to end',
    requirements: ['L-10', 'L-11'],
    level: 'robust',
    start: 'spent',
    async run(stage) {
      await holds(stage, script('sleep 60'));
      const fromMs = performance.now();
      stage.program?.signal('SIGTERM');
      await stage.until('its end', () => stage.program?.ended, 40_000);
      expect(
        stage.clerk.since('request', fromMs).length === 0,
        'it asked for work though it was told to end',
      );
    },
  },
];

const ID = { outputs: [{ name: 'id.txt' }] };

/** It is reported as a failure, or given back; its slot asks for work again. */
async function doesNotSucceed(stage: Stage, lease: Lease): Promise<void> {
  const ended = await stage.until(
    'a report of a failure, or a release',
    () =>
      stage.clerk.take('report', ({ message }) => message.job === lease.job)?.message ??
      stage.clerk.take('release', ({ message }) => message.job === lease.job)?.message,
    20_000,
  );
  expect(
    ended.kind === 'release' || ended.exit.kind !== 'exited',
    `it reported ${ended.kind === 'report' ? JSON.stringify(ended.exit) : ''}`,
  );
  expect(stage.storage.uploaded(lease, 'out.txt') === undefined, 'the job was run');
  await stage.parked(20_000);
}

async function reachesLimit(
  stage: Stage,
  text: string,
  limits: Partial<Lease['description']['limits']>,
  expected: readonly string[],
): Promise<void> {
  const lease = await stage.gives(script(text, { limits }));
  const { exit } = await stage.report(lease, 25_000);
  expect(isLimit(exit, expected), `it reported ${JSON.stringify(exit)}`);
}

function isLimit(exit: Exit, expected: readonly string[]): boolean {
  return exit.kind === 'limit' && expected.includes(exit.limit);
}

/** W: starts. */
export const startCases: readonly AgentCase[] = [
  {
    id: 'AGT-W-001',
    title: 'makes a new start id when it is started again, and counts on above its counters',
    requirements: ['W-1', 'M-7'],
    level: 'core',
    start: 'spent',
    async run(stage) {
      const { start } = stage.line.hello;
      await stage.proves();
      await stage.restart();
      const line = await stage.until(
        'a session of the next start',
        () => (stage.line.hello.start === start ? undefined : stage.line),
        20_000,
      );
      expect(/^[a-z2-7]{26}$/.test(line.hello.start), `its start id is ${line.hello.start}`);
      await stage.parked();
    },
  },
  {
    id: 'AGT-W-002',
    title: 'gives back attempts that it is said to hold and knows nothing of, as lost',
    requirements: ['W-4'],
    level: 'full',
    start: 'cold',
    async run(stage) {
      const lost = leaseOf(script('true'), stage.runtime.random, stage.storage);
      stage.clerk.deal(lost);
      await stage.start();
      await stage.session();
      const { message } = await stage.hears('release', (heard) => heard.message.job === lost.job, 10_000);
      expect(message.reason === 'lost', `it gave it back as ${message.reason}`);
      await stage.parked();
    },
  },
  {
    id: 'AGT-W-003',
    title: 'goes on with a live attempt after it was killed, or gives it back',
    requirements: ['W-4', 'L-12'],
    level: 'full',
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      const lease = await killedInAJob(stage);
      await stage.until(
        'a report or a release of the attempt',
        () =>
          stage.clerk.take('report', ({ message }) => message.job === lease.job) ??
          stage.clerk.take('release', ({ message }) => message.job === lease.job),
        30_000,
      );
      await stage.parked();
    },
  },
  {
    id: 'AGT-W-004',
    title: 'goes on with a live attempt after it was killed: renews it, and reports it',
    requirements: ['W-4', 'L-12'],
    level: 'robust',
    needs: ['restart'],
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      const lease = await killedInAJob(stage);
      await renewalOf(stage, lease, 20_000);
      await succeeds(stage, lease, 30_000);
    },
  },
  {
    id: 'AGT-W-005',
    title: 'lets go of an attempt that is not held any more when it is started again',
    requirements: ['W-4'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const lease = await holds(stage, script('sleep 20'));
      stage.clerk.deal(lease).state = 'ended';
      const { start } = stage.line.hello;
      const fromMs = performance.now();
      await stage.restart();
      await stage.until(
        'the next start',
        () => (stage.line.hello.start === start ? undefined : true),
        20_000,
      );
      await stage.parked(15_000);
      await stage.never(() => {
        const renews = stage.clerk.since('renew', fromMs).flatMap(({ message }) => message.leases);
        const about = [...renews, ...stage.clerk.since('report', fromMs).map(({ message }) => message)];
        return about.some(({ job }) => job === lease.job) ? 'it still speaks of the attempt' : undefined;
      }, 2000);
    },
  },
  {
    id: 'AGT-W-006',
    title: 'reports again, or gives back, what was not answered when it was killed',
    requirements: ['W-4', 'M-12'],
    level: 'full',
    start: 'spent',
    withinSeconds: 60,
    async run(stage) {
      stage.clerk.manners.report = () => 'nothing';
      const lease = await stage.gives(script('echo done > out.txt', { outputs: [{ name: 'out.txt' }] }));
      await stage.report(lease);
      delete stage.clerk.manners.report;
      const fromMs = performance.now();
      await stage.restart();
      await stage.until(
        'a report or a release of the attempt',
        () =>
          stage.clerk.since('report', fromMs).find(({ message }) => message.job === lease.job) ??
          stage.clerk.since('release', fromMs).find(({ message }) => message.job === lease.job),
        30_000,
      );
    },
  },
  {
    id: 'AGT-W-007',
    title: 'names the same start over all its sessions',
    requirements: ['W-1'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const { start } = stage.line.hello;
      const before = stage.desk.lines.length;
      stage.gate.cut();
      const line = await stage.until('a new session', () => stage.desk.lines[before], 10_000);
      expect(line.hello.start === start, 'it named another start');
    },
  },
];

async function killedInAJob(stage: Stage): Promise<Lease> {
  const lease = await holds(stage, script('sleep 3'));
  await stage.restart();
  return lease;
}
