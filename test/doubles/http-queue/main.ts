/** The queue as a program: `node main.ts --directory DIR [--port PORT]`. Ends on SIGTERM, or when standard input does. */
import { parseArgs } from 'node:util';
import { base64url } from '../../../protocol/encoding.ts';
import { nodeClock, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { startHttpQueue } from './server.ts';
import { writeToken } from './token-file.ts';

const { values } = parseArgs({
  options: { directory: { type: 'string', default: '.' }, port: { type: 'string', default: '0' } },
});
const token = base64url(nodeRandom.bytes(24));
const tokenFile = await writeToken(values.directory, token);
const server = await startHttpQueue({ clock: nodeClock, token, port: Number(values.port) });
console.log(JSON.stringify({ event: 'ready', url: server.url, files: { tokenFile }, queue: 'main' }));

const end = (): void => {
  process.stdin.destroy();
  void server.close();
};
process.once('SIGTERM', end);
process.stdin.once('end', end).resume();
