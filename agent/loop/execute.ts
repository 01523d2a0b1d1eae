import { toCoPilotError } from '../../protocol/errors.ts';
import type { CoPilotError } from '../../protocol/errors.ts';
import type { Exit as ProcessExit, Running } from '../executors/launcher.ts';
import type { Ending } from '../store/store.ts';
import type { SlotPhase } from './events.ts';
import { boundedUsage, exitOf, failed, NO_USAGE } from './exit.ts';
import { fetchInputs } from './files.ts';
import type { Run } from './files.ts';
import { checkCommand, launchSpec, withVariables } from './job-spec.ts';
import type { Measure } from './holding.ts';
import { openDesk } from './desk.ts';
import type { PilotDesk } from '../pilot/pilot-host.ts';

const MEBIBYTE = 1_048_576;
/** How often the job's own word on its progress is read for people to see. */
const PROGRESS_INTERVAL_MS = 1_000;
const REPORT_TAIL = 2_048;
const RENEWAL_TAIL = 256;

/** The attempt was stopped from outside; `stopReason` of its holding says why. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

/**
 * From the lease to the end of the process: fetch, run, collect. What goes wrong with the job or its files is an ending like any other.
 * Rejects with `Stopped`, with `ATTEMPT_NOT_LIVE`, or with a fault of this host.
 */
export async function execute(run: Run): Promise<Ending> {
  const refused = await prepare(run);
  if (refused !== undefined) return failedEnding(refused);
  say(run, 'running', 0);
  try {
    const desk = await openDesk(run);
    const exit = await runAt(desk, run);
    if (typeof exit === 'string') return failedEnding(exit);
    return await collect(run, exit, desk);
  } catch (caught) {
    throwIfStopped(run);
    const error = toCoPilotError(caught);
    if (error.code !== 'LAUNCH_REFUSED') throw error;
    return failedEnding(wordsOf('the job was not launched', error));
  }
}

export function say(run: Run, phase: SlotPhase, progress: number): void {
  const { job, attempt } = run.holding;
  run.context.emit({ kind: 'slot', slot: run.slot, phase, job, attempt, progress });
}

export function throwIfStopped(run: Run): void {
  if (run.holding.signal.aborted) throw new Stopped();
}

/** Why the job cannot be begun, in words for its owner. */
async function prepare(run: Run): Promise<string | undefined> {
  say(run, 'fetching', 0);
  try {
    checkCommand(run.holding.lease.description);
    await fetchInputs(run);
  } catch (caught) {
    throwIfStopped(run);
    const error = toCoPilotError(caught);
    if (error.code === 'ATTEMPT_NOT_LIVE' || error.code === 'INTERNAL') throw error;
    return wordsOf('an input could not be fetched', error);
  }
  throwIfStopped(run);
  return undefined;
}

/** While the process runs its desk is open, and no longer: its slot is needed afterwards. */
async function runAt(desk: PilotDesk, run: Run): Promise<ProcessExit | string> {
  try {
    throwIfStopped(run);
    return await runProcess(run, desk);
  } finally {
    await desk.close();
  }
}

/** The process to its end, or why it was not begun. */
async function runProcess(run: Run, desk: PilotDesk): Promise<ProcessExit | string> {
  const { context, holding, place } = run;
  let running: Running;
  try {
    const surroundings = withVariables(context.surroundings, desk.environment);
    running = context.launcher.launch(launchSpec(holding.lease, run.slot, place, surroundings));
  } catch (caught) {
    return wordsOf('the job was not launched', toCoPilotError(caught));
  }
  desk.admit(running);
  const kill = (): void => running.signal('SIGKILL');
  holding.signal.addEventListener('abort', kill, { once: true });
  holding.measure = () => measure(run, running);
  const stopWatching = watchProgress(run);
  try {
    const exit = await running.exited;
    throwIfStopped(run);
    return exit;
  } finally {
    stopWatching();
    holding.signal.removeEventListener('abort', kill);
  }
}

async function measure(run: Run, running: Running): Promise<Measure> {
  const [progress, logTail] = await Promise.all([run.place.progress(), run.place.logTail(RENEWAL_TAIL)]);
  return { progress: progress ?? 0, usage: boundedUsage(running.usage()), logTail };
}

function watchProgress(run: Run): () => void {
  const { clock } = run.context.runtime;
  let last = 0;
  let isOver = false;
  const look = async (): Promise<void> => {
    const progress = await run.place.progress().catch(() => undefined); // the job may write there what it likes
    if (isOver) return;
    if (progress !== undefined && progress !== last) {
      last = progress;
      say(run, 'running', progress);
    }
    cancel = clock.schedule(PROGRESS_INTERVAL_MS, () => void look());
  };
  let cancel = clock.schedule(PROGRESS_INTERVAL_MS, () => void look());
  return () => {
    isOver = true;
    cancel();
  };
}

async function collect(run: Run, process: ProcessExit, desk: PilotDesk): Promise<Ending> {
  const { description } = run.holding.lease;
  const logTail = await run.place.logTail(REPORT_TAIL);
  const usage = boundedUsage(process.usage);
  const exit = exitOf(process);
  if (exit.kind !== 'exited' || exit.code !== 0) return { exit, manifest: [], usage, logTail };
  const lost = await desk.gather(description.outputs);
  if (lost !== undefined) return { exit: failed(lost), manifest: [], usage, logTail };
  const collected = await run.place.collect(description.outputs, description.limits.diskMiB * MEBIBYTE);
  return collected.kind === 'collected'
    ? { exit, manifest: collected.files, usage, logTail }
    : { exit: failed(collected.reason), manifest: [], usage, logTail };
}

function failedEnding(reason: string): Ending {
  return { exit: failed(reason), manifest: [], usage: NO_USAGE, logTail: '' };
}

function wordsOf(what: string, error: CoPilotError): string {
  return `${what}: ${error.code}: ${error.message}`;
}
