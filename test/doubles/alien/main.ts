/** The classic services as a process: prints its address, and ends on SIGTERM or when standard input ends. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { startAlienDouble } from './alien-double.ts';

const { values } = parseArgs({ options: { directory: { type: 'string' } } });
const directory = values.directory ?? process.cwd();
const catalogue = join(directory, 'catalogue');
const bin = join(catalogue, 'alice/cern.ch/user/v/volunteer/bin');
await mkdir(bin, { recursive: true });
const script =
  '#!/bin/sh\necho "event $1"\nawk "BEGIN { srand($1); for (i = 0; i < 32; i++) print rand() }" >events.txt\n';
await writeFile(join(bin, 'sim.sh'), script);
await chmod(join(bin, 'sim.sh'), 0o755);
const double = await startAlienDouble({ clock: nodeClock, random: nodeRandom });

const ready = {
  event: 'ready',
  url: double.url,
  files: {},
  options: { user: 'volunteer', partitions: ['volunteer'], catalogueDirectory: catalogue, pollSeconds: 1 },
  queue: 'ALICE::VOLUNTEER::COPILOT',
};
process.stdout.write(`${JSON.stringify(ready)}\n`);
let isEnding = false;
const end = (): void => {
  if (isEnding) return;
  isEnding = true;
  void double.stop().then(() => process.stdin.destroy());
};
process.once('SIGTERM', end);
process.stdin.once('end', end);
process.stdin.resume();
