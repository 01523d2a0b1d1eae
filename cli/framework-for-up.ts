import { join } from 'node:path';
import { EXIT } from './command-line.ts';
import type { DemoView } from './demo-view.ts';
import { type FrameworkDouble, type FrameworkJob, startFrameworkDouble } from './framework-double.ts';

/** Work that comes from elsewhere than a campaign file; resolves with the exit code once its giver says that it has ended. */
export type OutsideWork = (shown: Shown) => Promise<number>;

interface Shown {
  readonly view: DemoView;
  readonly print: (text: string) => void;
  readonly signal: AbortSignal;
}

/** An installation of its own with the adapter of one framework. */
export interface UpWithFramework {
  readonly directory: string;
  /** What every role is told beside its file. */
  readonly flags: readonly string[];
  readonly work: OutsideWork;
  readonly stop: () => Promise<void>;
}

/** Has short leases, as everything that is shown. */
const QUEUE = 'demo';
const LOOK_MS = 2_000;

/** Starts the double of a framework, submits jobs to it, and says how an installation within `parent` is told of it. */
export async function startFrameworkFor(
  kind: string,
  parent: string,
  { flags, jobs }: { readonly flags: readonly string[]; readonly jobs: number },
): Promise<UpWithFramework> {
  const directory = join(parent, `with-${kind}`);
  const double = await startFrameworkDouble(kind, join(directory, 'framework'));
  try {
    const submitted = await double.submit(jobs);
    return {
      directory,
      flags: [...flags, ...settingsFor(kind, double)],
      work: ({ view, print, signal }) => untilEnded(kind, double, { submitted, view, print, signal }),
      stop: () => double.stop(),
    };
  } catch (caught) {
    await double.stop();
    throw caught;
  }
}

function settingsFor(kind: string, { url, files, queue, options }: FrameworkDouble): readonly string[] {
  const entry = { kind, url, queues: { [QUEUE]: queue }, ...files, options };
  return [
    `frameworks=${JSON.stringify({ [kind]: entry })}`,
    `queues.${QUEUE}.jobAdapter=${kind}`,
    'bridge.digests=adler32,md5',
  ];
}

interface Watching extends Shown {
  readonly submitted: readonly string[];
}

async function untilEnded(kind: string, double: FrameworkDouble, watching: Watching): Promise<number> {
  const { submitted, view, print, signal } = watching;
  view.note(`${submitted.length} jobs were submitted to ${kind}, at ${double.url}`);
  for (let last = ''; ; ) {
    const jobs = (await double.jobs()).filter(({ id }) => submitted.includes(id));
    const now = stateText(jobs);
    if (now !== last) view.note(`${kind} says: ${now}`);
    last = now;
    if (jobs.length === submitted.length && jobs.every(({ final }) => final)) {
      view.finish();
      const finished = jobs.filter(({ ok }) => ok).length;
      print(`\n${finished} of ${jobs.length} jobs finished, says ${kind}`);
      return finished === jobs.length ? EXIT.ok : EXIT.failed;
    }
    if (!(await waited(LOOK_MS, signal))) return EXIT.interrupted;
  }
}

/** How many jobs are in which of the framework's states. */
function stateText(jobs: readonly FrameworkJob[]): string {
  const counts = Map.groupBy(jobs, ({ state }) => state);
  return [...counts].map(([state, own]) => `${own.length} ${state}`).join(', ');
}

/** False where it was interrupted. */
function waited(ms: number, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      resolve(false);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve(true);
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
