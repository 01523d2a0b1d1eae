/** The side process as a process, over a JAliEn of its own: users submit by the WebSocket that `options` names. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { serveUntilEnded } from '../alien/program.ts';
import { startJalienDouble } from '../jalien/jalien-double.ts';
import { addSimScript } from '../jalien/program.ts';
import { startSideDouble } from './side-double.ts';

const { values } = parseArgs({ options: { directory: { type: 'string' } } });
const token = Buffer.from(nodeRandom.bytes(24)).toString('hex');
const tokenFile = join(values.directory ?? process.cwd(), 'side-token');
await writeFile(tokenFile, token, { mode: 0o600 });
const jalien = await startJalienDouble({ clock: nodeClock, random: nodeRandom, user: 'volunteer' });
addSimScript(jalien);
const side = await startSideDouble({ jalien, token });
const options = { way: 'side', user: 'volunteer', jalien: jalien.url, pollSeconds: 1, lookSeconds: 1 };
serveUntilEnded(
  { url: side.url, files: { tokenFile }, options, queue: 'ALICE::VOLUNTEER::COPILOT' },
  async () => {
    await side.stop();
    await jalien.stop();
  },
);
