import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { FRAMEWORK_KINDS } from '../../../cli/framework-kinds.ts';
import { type FrameworkDouble, startFrameworkDouble } from '../../../cli/framework-double.ts';
import type { FrameworkSettings } from '../../../adapters/jobs/kit/framework-kind.ts';
import { type Peer, startPeer } from '../peer.ts';
import { median } from '../statistics.ts';
import type { FrameworkHold, FrameworkQuestions, FrameworkRun } from './adapter-peer.ts';
import type { BytesQuestions } from './bytes-peer.ts';
import type { CallTarget } from './recorded-calls.ts';

/** What one kind of framework came to. */
export interface MeasuredFramework {
  readonly kind: string;
  /** Jobs each second, by round: through the adapter, and by a minimal client that makes the same calls. */
  readonly rounds: readonly { readonly adapter: number; readonly minimal: number }[];
  readonly ofMinimal: number;
  /** To the framework, and to the Data Bridge. */
  readonly callsPerThousandJobs: Readonly<Record<CallTarget, number>>;
  readonly cpuMicrosecondsPerJob: number;
  readonly hold: FrameworkHold;
}

export interface FrameworkSizes {
  readonly jobs: number;
  readonly rounds: number;
  readonly held: number;
  readonly holdSeconds: number;
}

const AT_ONCE = 256;

/** Each kind against its own double, which is another process. */
export async function measureFrameworks(
  directory: string,
  kinds: readonly string[],
  sizes: FrameworkSizes,
): Promise<readonly MeasuredFramework[]> {
  const measured: MeasuredFramework[] = [];
  for (const kind of kinds) measured.push(await measureKind(join(directory, kind), kind, sizes));
  return measured;
}

const DOUBLES = join(import.meta.dirname, '../../doubles');

/** Those that are named, or all that have a double. */
export function kindsOf(asked: readonly string[]): readonly string[] {
  const known = Object.keys(FRAMEWORK_KINDS).filter((kind) => existsSync(join(DOUBLES, kind, 'main.ts')));
  const named = known.filter((kind) => asked.includes(kind));
  return named.length > 0 ? named : known;
}

async function measureKind(
  directory: string,
  kind: string,
  sizes: FrameworkSizes,
): Promise<MeasuredFramework> {
  const { jobs, rounds, held, holdSeconds } = sizes;
  const adapter = startPeer<FrameworkQuestions>('frameworks/adapter-peer.ts');
  const bytes = startPeer<BytesQuestions>('frameworks/bytes-peer.ts');
  try {
    const peer = { adapter, bridge: await bytes.ask('start', null) };
    const first = await through(directory, kind, { jobs, record: true }, peer);
    const both: { adapter: number; minimal: number }[] = [];
    const cpu: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const ours = await through(directory, kind, { jobs, record: false }, peer);
      const seconds = await minimally(directory, kind, first, peer);
      both.push({ adapter: ours.jobs / ours.seconds, minimal: ours.jobs / seconds });
      cpu.push(ours.cpuMicroseconds / ours.jobs);
    }
    const hold = await withDouble(directory, kind, held, async (double) => {
      await adapter.ask('start', settingsOf(kind, double, peer.bridge));
      return adapter.ask('hold', { jobs: held, seconds: holdSeconds });
    });
    return {
      kind,
      rounds: both,
      ofMinimal: median(both.map(({ adapter, minimal }) => adapter / minimal)),
      callsPerThousandJobs: { framework: callsTo(first, 'framework'), bridge: callsTo(first, 'bridge') },
      cpuMicrosecondsPerJob: median(cpu),
      hold,
    };
  } finally {
    await Promise.all([adapter.stop(), bytes.stop()]);
  }
}

function callsTo({ calls, jobs }: FrameworkRun, target: CallTarget): number {
  return (calls.filter(({ to }) => to === target).length / jobs) * 1000;
}

/** An adapter in its process, and the address of the Data Bridge for it. */
interface Measured {
  readonly adapter: Peer<FrameworkQuestions>;
  readonly bridge: string;
}

function through(
  directory: string,
  kind: string,
  { jobs, record }: { readonly jobs: number; readonly record: boolean },
  { adapter, bridge }: Measured,
): Promise<FrameworkRun> {
  return withDouble(directory, kind, jobs, async (double) => {
    await adapter.ask('start', settingsOf(kind, double, bridge));
    const run = await adapter.ask('run', { jobs, atOnce: AT_ONCE, record });
    if (run.jobs !== jobs) throw new Error(`${kind}: ${run.jobs} of ${jobs} jobs came through`);
    const bad = (await double.jobs()).find(({ final, ok }) => final && !ok);
    if (bad !== undefined) throw new Error(`${kind}: job ${bad.id} is ${bad.state}`);
    return run;
  });
}

/** The same calls, as many together, against a double that has as many jobs and knows of nothing yet. */
function minimally(
  directory: string,
  kind: string,
  { calls, callsAtOnce: atOnce, jobs }: FrameworkRun,
  { adapter, bridge }: Measured,
): Promise<number> {
  return withDouble(directory, kind, jobs, ({ url, files }) =>
    adapter.ask('replay', { urls: { framework: url, bridge }, files, calls, atOnce }),
  );
}

async function withDouble<T>(
  directory: string,
  kind: string,
  jobs: number,
  act: (double: FrameworkDouble) => Promise<T>,
): Promise<T> {
  const double = await startFrameworkDouble(kind, directory);
  try {
    await double.submit(jobs);
    return await act(double);
  } finally {
    await double.stop();
  }
}

function settingsOf(
  kind: string,
  { url, files, queue, options }: FrameworkDouble,
  bridge: string,
): { readonly framework: FrameworkSettings; readonly bridge: string } {
  const framework = {
    kind,
    url,
    queues: { bench: queue },
    credential: files,
    attempts: 1,
    options: options as FrameworkSettings['options'],
  };
  return { framework, bridge };
}
