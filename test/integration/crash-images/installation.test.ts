import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openInstallation } from '../../../cli/installation.ts';
import type { RoleConfigurations } from '../../../cli/configuration/role-configurations.ts';
import { checkImages } from '../../crash-images/images.ts';
import { heardMs, requireStrace, startTraced } from '../../crash-images/traced-program.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

const script = new URL('../../crash-images/installation-process.ts', import.meta.url);
const seed = Number(process.env['SEED'] ?? 1);
let folder: string;

beforeEach(async () => {
  folder = await temporaryDirectory('installation-images');
});
afterEach(() => removeDirectory(folder));

it('an installation keeps its keys through a power cut from when it was made, and is made again where it was not', async (context) => {
  requireStrace(context);
  const root = join(folder, 'root');
  await mkdir(root);
  const program = await startTraced({
    script,
    arguments: [join(root, 'home/co-pilot')],
    root,
    traceFile: join(folder, 'trace'),
  });
  const made = (await program.message()) as RoleConfigurations;
  const atMs = heardMs();
  program.child.send('end');
  const trace = await program.trace();
  const { images, faults } = await checkImages({
    trace,
    promises: [{ line: trace.sentBefore(atMs), what: made }],
    seed,
    images: 24,
    folder,
    async check(directory, [promised]) {
      const { configurations } = await openInstallation({ directory: join(directory, 'home/co-pilot') });
      const isKept = promised === undefined || isDeepStrictEqual(configurations, promised);
      return isKept ? [] : ['the keys are others'];
    },
  });
  expect(faults).toEqual([]);
  expect(images).toBeGreaterThanOrEqual(24);
}, 120_000);
