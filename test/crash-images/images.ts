import { join } from 'node:path';
import { createSeededRandom } from '../doubles/seeded-random.ts';
import { removeDirectory } from '../doubles/temporary-directory.ts';
import { ONLY_SYNCED, type Survives, type Tree } from './power-cut.ts';
import type { Trace } from './traced-program.ts';
import { writeTree } from './tree.ts';

/** What the world was told, and the line of the trace at which it was. */
export interface Promised<What> {
  readonly line: number;
  readonly what: What;
}

export interface ImageOptions<What> {
  readonly trace: Trace;
  readonly promises: readonly Promised<What>[];
  readonly seed: number;
  /** How many images: some right after a promise, some at random; of each moment one with what was synced alone, one with some of the rest. */
  readonly images: number;
  /** Images are written below it and removed again. */
  readonly folder: string;
  /** Recovers one; throws, or answers what is wrong with it. `kept` was promised before the cut. */
  readonly check: (directory: string, kept: readonly What[]) => Promise<readonly string[]>;
}

export interface ImagesChecked {
  readonly images: number;
  readonly faults: readonly string[];
}

/** Enough to see what is wrong. */
const MAX_FAULTS = 10;

/** Cuts the power again and again, and recovers from what each cut left. */
export async function checkImages<What>(options: ImageOptions<What>): Promise<ImagesChecked> {
  const { trace, promises, seed, folder, check } = options;
  const below = belowOf(seed);
  const faults: string[] = [];
  const disk = trace.disk();
  let images = 0;
  for (const line of cutLines(options, below)) {
    if (faults.length > MAX_FAULTS) break;
    disk.runTo(line);
    const kept = promises.filter((promise) => promise.line <= line).map(({ what }) => what);
    for (const [name, survives] of survivors(below)) {
      const directory = join(folder, `image-${images++}`);
      const found = await checkOne(directory, disk.image(survives), (place) => check(place, kept));
      faults.push(...found.map((fault) => `cut at line ${line}, ${name}: ${fault} (SEED=${seed})`));
    }
  }
  return { images, faults };
}

async function checkOne(
  directory: string,
  image: Tree,
  check: (directory: string) => Promise<readonly string[]>,
): Promise<readonly string[]> {
  await writeTree(directory, image);
  try {
    return await check(directory);
  } catch (caught) {
    return [`it was not recovered: ${String(caught)}`];
  } finally {
    await removeDirectory(directory);
  }
}

/** Two thirds right after promises, the others anywhere; in order. */
function cutLines<What>({ trace, promises, images }: ImageOptions<What>, below: Below): readonly number[] {
  const moments = Math.ceil(images / 2);
  const told = [...new Set(promises.map(({ line }) => line))];
  const lines = new Set<number>([trace.end]);
  while (lines.size < Math.ceil((moments * 2) / 3) && told.length > 0)
    lines.add(told.splice(below(told.length), 1)[0] ?? 0);
  while (lines.size < Math.min(moments, trace.end)) lines.add(below(trace.end));
  return [...lines].sort((one, other) => one - other);
}

/** Half of the rest survives, or nearly all of it, or hardly any. */
function survivors(below: Below): readonly (readonly [name: string, survives: Survives])[] {
  const percent = [50, 95, 5][below(3)] ?? 50;
  return [
    ['only what was synced', ONLY_SYNCED],
    [`${percent} % of the rest too`, () => below(100) < percent],
  ];
}

type Below = (bound: number) => number;

function belowOf(seed: number): Below {
  const random = createSeededRandom(seed);
  return (bound) => new DataView(random.bytes(4).buffer).getUint32(0) % bound;
}
