/** The classic services as a process. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { startAlienDouble } from './alien-double.ts';
import { serveUntilEnded, SIM_LFN, SIM_SCRIPT } from './program.ts';

const { values } = parseArgs({ options: { directory: { type: 'string' } } });
const catalogueDirectory = join(values.directory ?? process.cwd(), 'catalogue');
const script = join(catalogueDirectory, SIM_LFN);
await mkdir(dirname(script), { recursive: true });
await writeFile(script, SIM_SCRIPT);
await chmod(script, 0o755);
const double = await startAlienDouble({ clock: nodeClock, random: nodeRandom });
const options = {
  user: 'volunteer',
  partitions: ['volunteer'],
  catalogueDirectory,
  pollSeconds: 1,
  lookSeconds: 1,
};
serveUntilEnded({ url: double.url, files: {}, options, queue: 'ALICE::VOLUNTEER::COPILOT' }, () =>
  double.stop(),
);
