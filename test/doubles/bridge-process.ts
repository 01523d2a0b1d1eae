/**
 * A bridge in a process of its own, told what to do over IPC; kills itself with SIGKILL at the step it is told:
 * `node bridge-process.ts <directory> <port> [<step>]`.
 */
import { createBridge } from '../../adapters/storage/bridge/bridge.ts';
import type { AttemptRef } from '../../adapters/storage/storage-adapter.ts';
import { toCoPilotError } from '../../protocol/errors.ts';
import type { File, Grant } from '../../protocol/generated/types.ts';
import { createCrypto, nodeClock, nodeRandom } from '../../protocol/runtime/node-runtime.ts';
import { createFaultyDisk } from './faulty-disk.ts';
import { silentLog } from './silent-log.ts';

export type BridgeCommand =
  | { readonly op: 'mint'; readonly grant: Grant }
  | { readonly op: 'verify' | 'finalise'; readonly attempt: AttemptRef; readonly manifest: readonly File[] }
  | { readonly op: 'discard'; readonly attempt: AttemptRef }
  | { readonly op: 'swept' | 'stop' };

export type BridgeReply = { readonly ok: unknown } | { readonly code: string };

const [directory = '', port = '0', fatal = ''] = process.argv.slice(2);
const gigabyte = 1024 ** 3;

function at(step: string): void {
  if (step === fatal) process.kill(process.pid, 'SIGKILL');
}

const bridge = createBridge({
  directory,
  host: '127.0.0.1',
  port: Number(port),
  operatorToken: 'operator-token-of-the-test',
  ceiling: {
    maxFileBytes: gigabyte,
    maxAttemptBytes: gigabyte,
    maxTotalBytes: gigabyte,
    verbs: ['get', 'put'],
  },
  clock: nodeClock,
  random: nodeRandom,
  crypto: createCrypto(),
  log: silentLog,
  disk: createFaultyDisk(at),
});

function run(command: BridgeCommand): Promise<unknown> {
  switch (command.op) {
    case 'mint':
      return bridge.adapter.mint(command.grant);
    case 'verify':
      return bridge.adapter.verify(command.attempt, command.manifest);
    case 'finalise':
      return bridge.adapter.finalise(command.attempt, command.manifest);
    case 'discard':
      return bridge.adapter.discard(command.attempt);
    case 'swept':
      return bridge.swept();
    case 'stop':
      return bridge.stop();
  }
}

async function reply(command: BridgeCommand): Promise<BridgeReply> {
  at(`before ${command.op}`);
  try {
    const ok = (await run(command)) ?? null;
    at(`after ${command.op}`);
    return { ok };
  } catch (error) {
    return { code: toCoPilotError(error).code };
  }
}

process.on('message', (command: BridgeCommand) => {
  void reply(command).then((answer) => {
    process.send?.(answer);
    if (command.op === 'stop') process.disconnect();
  });
});
process.send?.({ ok: (await bridge.start()).url });
