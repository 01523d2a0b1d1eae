import { readFile } from 'node:fs/promises';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { parseJson } from '../../../protocol/parse-json.ts';
import { createLineFile } from './line-file.ts';

/** A job of the framework that was refused before the broker ever saw it. */
export interface RefusedJob {
  /** As it would have been called here; empty where it could not be named. */
  readonly job: string;
  /** The framework's own name. */
  readonly ref: string;
  readonly reason: string;
  /** Wall time in milliseconds since the Unix epoch. */
  readonly atMs: number;
}

/** Keeps the newest refusals in a file, so that `co-pilot job why` can tell of them; the framework is told by other ways. */
export interface RefusedJobs {
  /** Never fails: what cannot be written is logged. A job that is refused again is kept once. */
  note(refused: Omit<RefusedJob, 'atMs'>): void;
  /** Resolves when all of them are written. */
  settled(): Promise<void>;
}

/** File of an adapter's own directory. */
export const REFUSED_FILE = 'refused.jsonl';

const MAX_KEPT = 1_000;
const MAX_REF = 256;
const MAX_REASON = 500;

export async function openRefusedJobs(
  path: string,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<RefusedJobs> {
  let kept = [...(await readRefusedJobs(path))];
  const live = { count: () => kept.length, lines: () => kept.map((refused) => JSON.stringify(refused)) };
  const file = createLineFile({ path, live, spare: 0 });

  return {
    note({ job, ref, reason }) {
      const refused = {
        job,
        ref: ref.slice(0, MAX_REF),
        reason: reason.slice(0, MAX_REASON),
        atMs: clock.wallMs(),
      };
      if (kept.some((other) => other.job === job && other.ref === refused.ref)) return;
      kept = [...kept, refused].slice(-MAX_KEPT);
      file
        .append(JSON.stringify(refused))
        .catch((caught: unknown) => log.warn({ err: caught, job }, 'a refused job could not be noted'));
    },
    settled: () => file.settled(),
  };
}

/** The newest last; nothing where there is no file, and nothing of what in it is no line of ours. */
export async function readRefusedJobs(path: string): Promise<readonly RefusedJob[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text
    .split('\n')
    .flatMap((line) => refusedOf(line) ?? [])
    .slice(-MAX_KEPT);
}

/** Undefined for an empty line, or one that a crash cut short. */
function refusedOf(line: string): RefusedJob | undefined {
  const value = parseJson(line);
  return isRefused(value) ? value : undefined;
}

function isRefused(value: unknown): value is RefusedJob {
  if (typeof value !== 'object' || value === null) return false;
  const fields: Readonly<Record<string, unknown>> = { ...value };
  return (
    ['job', 'ref', 'reason'].every((key) => typeof fields[key] === 'string') &&
    typeof fields['atMs'] === 'number'
  );
}
