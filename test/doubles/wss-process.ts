import { createAgentBus } from '../../protocol/bindings/agent-bus.ts';
import { nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { silentLog } from './silent-log.ts';

/** A program that connects to the bus at an address, and says in one word how that went. */
const [, , url = '', agent = '', identity = ''] = process.argv;

const bus = await createAgentBus({
  url,
  agent,
  identity: () => identity,
  renewIdentity: async () => undefined,
  clock: nodeClock,
  random: nodeRandom,
  log: {
    ...silentLog,
    debug: (fields: object) => 'error' in fields && end(codeOf(fields.error)),
    warn: (fields: object) => 'errorCode' in fields && end(String(fields.errorCode)),
  },
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
