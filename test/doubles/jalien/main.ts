/** The WebSocket of JAliEn with its catalogue and storages as a process: for files, and for users that submit. */
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { serveUntilEnded } from '../alien/program.ts';
import { startJalienDouble } from './jalien-double.ts';
import { addSimScript } from './program.ts';

const double = await startJalienDouble({ clock: nodeClock, random: nodeRandom, user: 'volunteer' });
addSimScript(double);
serveUntilEnded({ url: double.url, files: {}, options: { jalien: double.url } }, () => double.stop());
