import { afterEach, beforeEach, expect, it } from 'vitest';
import { traceBroker } from '../../crash-images/broker-load.ts';
import { checkImages } from '../../crash-images/images.ts';
import { requireStrace } from '../../crash-images/traced-program.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const seed = Number(process.env['SEED'] ?? 1);
const KINDS = [
  'accepted',
  'code',
  'committed',
  'enrolled',
  'leased',
  'promised',
  'released',
  'reported',
  'revoked',
];
let folder: string;

beforeEach(async () => {
  folder = await temporaryDirectory('broker-images');
});
afterEach(() => removeDirectory(folder));

it('a broker keeps through a power cut every job, answer and code it told of (I1, I3, I4)', async (context) => {
  requireStrace(context);
  const load = await traceBroker(folder, 12);
  const { images, faults } = await checkImages({ ...load, seed, images: 40, folder });
  expect(faults).toEqual([]);
  const told = new Set(load.promises.map(({ what }) => what.kind));
  expect([...told].sort()).toEqual(KINDS);
  expect(images).toBeGreaterThanOrEqual(40);
}, 120_000);
