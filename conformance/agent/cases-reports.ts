import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Exit, Lease } from '../../protocol/generated/types.ts';
import { expect } from '../expectation.ts';
import type { AgentCase } from './agent-case.ts';
import { named, succeeds } from './deeds.ts';
import { leaseOf, script, uniqueBytes } from './jobs.ts';
import type { Stage } from './stage.ts';
import { sha256Of } from './storage.ts';

/** How a job can end, what the report of it must say, and what it must sign. */
const EXITS: readonly {
  readonly text: string;
  readonly is: (exit: Exit) => boolean;
  readonly what: string;
}[] = [
  { what: 'with code 0', text: 'true', is: (exit) => exit.kind === 'exited' && exit.code === 0 },
  { what: 'with code 3', text: 'exit 3', is: (exit) => exit.kind === 'exited' && exit.code === 3 },
  { what: 'with code 255', text: 'exit 255', is: (exit) => exit.kind === 'exited' && exit.code === 255 },
  {
    what: 'by a signal',
    text: 'kill -KILL $$',
    is: (exit) => exit.kind === 'signalled' && exit.signal === 'SIGKILL',
  },
];

/** V: reports and verdicts. */
export const reportCases: readonly AgentCase[] = [
  ...EXITS.map(
    ({ what, text, is }, index): AgentCase => ({
      id: `AGT-V-00${index + 1}`,
      title: `reports a job that ended ${what}, signed`,
      requirements: ['V-1', 'V-2'],
      level: index < 2 ? 'core' : 'full',
      async run(stage) {
        const lease = await stage.gives(
          script(`echo x > out.txt; ${text}`, { outputs: [{ name: 'out.txt', optional: true }] }),
        );
        const { exit } = await stage.report(lease);
        expect(is(exit), `it reported ${JSON.stringify(exit)}`);
      },
    }),
  ),
  {
    id: 'AGT-V-005',
    title: 'reports a job that cannot be run with a reason, signed as a JSON string',
    requirements: ['V-2', 'V-3'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives({ command: 'there-is-no-such-program' });
      const report = await stage.report(lease);
      expect(
        report.exit.kind !== 'exited' || report.exit.code !== 0,
        'it reported the success of a program that there is not',
      );
    },
  },
  {
    id: 'AGT-V-006',
    title: 'reports each file with its size and digest, in a manifest that it signs as it stands',
    requirements: ['V-1', 'V-2'],
    level: 'full',
    async run(stage) {
      const names = ['z.txt', 'a.txt', 'm/n.txt'];
      const lease = await stage.gives(
        script(`mkdir m; ${names.map((name) => `echo ${name} > ${name}`).join('; ')}`, {
          outputs: names.map((name) => ({ name })),
        }),
      );
      const { manifest } = await stage.report(lease);
      for (const name of names) {
        const bytes = Buffer.from(`${name}\n`);
        const file = manifest.find((entry) => entry.name === name);
        expect(
          file?.size === bytes.length && file.sha256 === sha256Of(bytes),
          `its manifest says of ${name} ${JSON.stringify(file)}`,
        );
      }
    },
  },
  {
    id: 'AGT-V-007',
    title: 'reports the end of what the job wrote',
    requirements: ['V-1'],
    level: 'robust',
    async run(stage) {
      const lease = await stage.gives(script('echo the-last-words'));
      const { logTail } = await stage.report(lease);
      expect(logTail.includes('the-last-words'), `the end of its log is ${JSON.stringify(logTail)}`);
    },
  },
  {
    id: 'AGT-V-008',
    title: 'leaves out a declared output that is optional and was not made',
    requirements: ['V-1'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives(script('true', { outputs: [{ name: 'perhaps.txt', optional: true }] }));
      const { exit, manifest } = await stage.report(lease);
      expect(
        exit.kind === 'exited' && exit.code === 0 && manifest.length === 0,
        'it did not report success without the file',
      );
    },
  },
  {
    id: 'AGT-V-011',
    title: 'asks for a verdict that is not known yet by renewals without leases, ever more seldom',
    requirements: ['V-11'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives(script('true'));
      const deal = stage.clerk.deal(lease);
      deal.verdict = 'verifying';
      await stage.report(lease);
      const first = await stage.hears('renew', ({ message }) => message.leases.length === 0, 6000);
      const second = await stage.hears('renew', ({ message }) => message.leases.length === 0, 10_000);
      expect(second.atMs - first.atMs > 2000, 'it asked again within two seconds');
      stage.clerk.decide(deal, 'committed');
      await named(stage, lease, 20_000);
    },
  },
  {
    id: 'AGT-V-012',
    title: 'names a verdict as seen once it knows it, until a message that named it is answered',
    requirements: ['V-10'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives(script('true'));
      await succeeds(stage, lease);
      await named(stage, lease, 5000);
      await stage.proves();
      const fromMs = performance.now();
      await stage.proves();
      const again = stage.clerk
        .since('request', fromMs)
        .some(({ message }) => message.seen.some(({ job }) => job === lease.job));
      expect(!again, 'it still names the verdict, though that was answered');
    },
  },
  {
    id: 'AGT-V-013',
    title: 'names the verdict of a job that was refused as seen, too',
    requirements: ['V-10'],
    level: 'full',
    async run(stage) {
      const lease = await stage.gives(script('exit 1'));
      await stage.report(lease);
      await named(stage, lease, 5000);
    },
  },
  {
    id: 'AGT-V-014',
    title: 'takes a verdict that a welcome brings',
    requirements: ['V-10', 'M-12'],
    level: 'full',
    start: 'spent',
    async run(stage) {
      const lease = await stage.gives(script('true'));
      const deal = stage.clerk.deal(lease);
      deal.verdict = 'verifying';
      await stage.report(lease);
      await stage.parked();
      stage.clerk.manners.renew = () => 'nothing';
      stage.clerk.decide(deal, 'committed');
      const before = stage.desk.lines.length;
      stage.gate.cut();
      await stage.until('a new session', () => stage.desk.lines[before]);
      await named(stage, lease, 20_000);
    },
  },
  ...(['verifying', 'waiting'] as const).map(
    (verdict, index): AgentCase => ({
      id: `AGT-V-02${index + 1}`,
      title: `keeps the output files while the verdict is ${verdict}`,
      requirements: ['V-8'],
      level: 'full',
      async run(stage) {
        const bytes = uniqueBytes(stage.runtime.random, 3000);
        const lease = await stage.gives(
          script('cat in.dat in.dat > out.txt', {
            inputs: [{ name: 'in.dat', bytes }],
            outputs: [{ name: 'out.txt' }],
          }),
        );
        const deal = stage.clerk.deal(lease);
        deal.verdict = verdict;
        await stage.report(lease);
        await stage.parked();
        const output = Buffer.concat([bytes, bytes]);
        const isKept = await hasFile(join(stage.directory, 'agent'), output);
        expect(isKept, 'its output is nowhere in its directory');
        stage.clerk.decide(deal, 'committed');
        await named(stage, lease, 20_000);
      },
    }),
  ),
  {
    id: 'AGT-V-031',
    title: 'asks for the next job in its report, and runs the one that the answer brings',
    requirements: ['V-13'],
    level: 'full',
    needs: ['next'],
    async run(stage) {
      const next = leaseOf(script('true'), stage.runtime.random, stage.storage);
      stage.clerk.manners.report = (message) => {
        if (message.job === next.job) return undefined;
        const usual = stage.clerk.reported(message);
        stage.clerk.deal(next);
        return { ...usual, next };
      };
      const lease = await stage.gives(script('true'));
      const fromMs = performance.now();
      const first = await stage.report(lease);
      expect(first.next !== undefined, 'its report does not ask for the next job');
      await succeeds(stage, next);
      const requests = stage.clerk
        .since('request', fromMs)
        .filter(({ atMs }) => atMs < performance.now() - 1000);
      expect(requests.length === 0, 'it asked for a job though it had one');
    },
  },
  {
    id: 'AGT-V-032',
    title: 'waits as long as the answer to its report says before it asks again',
    requirements: ['M-17', 'V-13'],
    level: 'full',
    needs: ['next'],
    async run(stage) {
      stage.clerk.manners.report = (message) => ({
        ...stage.clerk.reported(message),
        ...(message.next !== undefined && { next: { reason: 'busy', retryAfterSeconds: 2 } }),
      });
      const lease = await stage.gives(script('true'));
      const report = await stage.hears('report', ({ message }) => message.job === lease.job, 20_000);
      const request = await stage.until(
        'a request',
        () =>
          stage.clerk
            .since('request', report.atMs)
            .find(({ message }) => message.slot === report.message.slot),
        12_000,
      );
      expect(
        report.message.next === undefined || request.atMs - report.atMs >= 1980,
        `it asked after ${Math.round(request.atMs - report.atMs)} ms, where it was told to wait 2 s`,
      );
    },
  },
  {
    id: 'AGT-V-033',
    title: 'reports an attempt that was decided meanwhile no more',
    requirements: ['V-10'],
    level: 'robust',
    async run(stage) {
      const lease = await stage.gives(script('true'));
      await succeeds(stage, lease);
      await stage.parked();
      const fromMs = performance.now();
      await stage.never(
        () =>
          stage.clerk.since('report', fromMs).some(({ message }) => message.job === lease.job)
            ? 'it reported it again'
            : undefined,
        7000,
      );
    },
  },
];

const MOST_FILES = 5000;

/** Whether a file below the folder has exactly these bytes. */
async function hasFile(folder: string, bytes: Uint8Array): Promise<boolean> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((found) => found.isFile()).slice(0, MOST_FILES)) {
    const content = await readFile(join(entry.parentPath, entry.name)).catch(() => undefined); // gone meanwhile
    if (content?.equals(bytes) === true) return true;
  }
  return false;
}
