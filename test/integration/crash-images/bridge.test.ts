import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { traceBridge } from '../../crash-images/bridge-load.ts';
import { checkImages } from '../../crash-images/images.ts';
import { requireStrace } from '../../crash-images/traced-program.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const seed = Number(process.env['SEED'] ?? 1);
const KINDS = ['closed', 'discarded', 'input', 'minted', 'registered', 'uploaded'];
let folder: string;

beforeEach(async () => {
  folder = await temporaryDirectory('bridge-images');
});
afterEach(() => removeDirectory(folder));

it('a bridge keeps through a power cut every file, result and discard it told of (I3, I6)', async (context) => {
  requireStrace(context);
  const root = join(folder, 'bridge');
  await mkdir(root);
  const load = await traceBridge(folder, root, 8);
  const { images, faults } = await checkImages({ ...load, seed, images: 24, folder });
  expect(faults).toEqual([]);
  const told = new Set(load.promises.map(({ what }) => what.kind));
  expect([...told].sort()).toEqual(KINDS);
  expect(images).toBeGreaterThanOrEqual(24);
}, 120_000);
