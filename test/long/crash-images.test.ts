import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { traceBridge } from '../crash-images/bridge-load.ts';
import { traceBroker } from '../crash-images/broker-load.ts';
import { checkImages } from '../crash-images/images.ts';
import { requireStrace } from '../crash-images/traced-program.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';

/** Far from the seeds every run of CI takes. */
const SEEDS = [1_000_001, 1_000_002, 1_000_003];
const IMAGES = 300;
const JOBS = 48;
let folder: string;

beforeEach(async () => {
  folder = await temporaryDirectory('long-images');
});
afterEach(() => removeDirectory(folder));

it.for(SEEDS)(
  'a broker keeps what it promised through further power cuts (seed %i)',
  async (seed, context) => {
    requireStrace(context);
    const load = await traceBroker(folder, JOBS);
    const { images, faults } = await checkImages({
      ...load,
      seed,
      images: IMAGES,
      folder,
    });
    expect(faults).toEqual([]);
    expect(images).toBeGreaterThanOrEqual(IMAGES);
  },
);

it.for(SEEDS)(
  'a bridge keeps what it promised through further power cuts (seed %i)',
  async (seed, context) => {
    requireStrace(context);
    const root = join(folder, 'bridge');
    await mkdir(root);
    const load = await traceBridge(folder, root, JOBS);
    const { images, faults } = await checkImages({ ...load, seed, images: IMAGES, folder });
    expect(faults).toEqual([]);
    expect(images).toBeGreaterThanOrEqual(IMAGES);
  },
);
