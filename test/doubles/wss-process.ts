import { createWebSocketClient } from '../../protocol/bindings/websocket-client.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { silentLog } from './silent-log.ts';

/** A program that connects to the bus at an address, and says in one word how that went. */
const [, , url = ''] = process.argv;

const bus = createWebSocketClient({
  url,
  clock: nodeClock,
  random: nodeRandom,
  log: { ...silentLog, debug: (fields: object) => 'error' in fields && end(codeOf(fields.error)) },
});
bus.start().then(
  () => end('up'),
  () => undefined, // it was stopped before it came there
);

function end(word: string): void {
  process.stdout.write(word);
  void bus.stop();
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
