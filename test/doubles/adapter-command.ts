/**
 * An adapter of ours as a command for `co-pilot conformance adapter`, and what its operator does:
 *   node adapter-command.ts job|storage <directory> <configuration>
 *   node adapter-command.ts submit <directory> <file> <queue>
 *   node adapter-command.ts cancel <directory> <job>
 *   node adapter-command.ts put-input <directory> <file>
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startLocalAdapter } from '../../adapters/jobs/local/main.ts';
import { startBridge } from '../../adapters/storage/bridge/main.ts';
import { dropReader } from '../../cli/campaign/drop-reader.ts';
import { createControlClient } from '../../cli/control-client.ts';
import { createResultStore } from '../../cli/result-store.ts';
import { sha256Of } from '../../conformance/peer/key-holder.ts';
import type { AdapterConfiguration } from '../../conformance/adapter/subject.ts';
import type { Description } from '../../protocol/generated/types.ts';
import { eventually } from './eventually.ts';
import { silentLog } from './silent-log.ts';

const [what, directory = '', first = '', queue = ''] = process.argv.slice(2);
const operatorToken = 'operator-token-of-the-test';
const controlSocket = join(directory, 'control', 'control.sock');
const urlFile = join(directory, 'url');
const MIB = 1024 * 1024;

switch (what) {
  case 'job':
    untilTold(
      await startLocalAdapter({
        directory,
        controlSocket,
        configuration: await configuration(),
        log: silentLog,
        reader: dropReader,
      }),
    );
    break;
  case 'storage':
    untilTold(await startStorage());
    break;
  case 'submit':
    await submit();
    break;
  case 'cancel':
    await createControlClient({ socketPath: controlSocket }).cancel(first);
    break;
  case 'put-input':
    await putInput();
    break;
  case undefined:
  default:
    process.exitCode = 64;
}

async function configuration() {
  const given = JSON.parse(await readFile(first, 'utf8')) as AdapterConfiguration;
  return { ...given, busUrls: [given.busUrl] };
}

async function startStorage() {
  const ceiling = { maxFileBytes: MIB, maxAttemptBytes: 2 * MIB, maxTotalBytes: 64 * MIB };
  const own = {
    host: '127.0.0.1',
    port: 0,
    operatorToken,
    ceiling: { ...ceiling, verbs: ['get', 'put'] as const },
  };
  const program = await startBridge({
    directory,
    configuration: { ...(await configuration()), ...own },
    log: silentLog,
  });
  await writeFile(urlFile, program.url);
  return program;
}

function untilTold(program: { stop(): Promise<void> }): void {
  process.once('SIGTERM', () => void program.stop());
}

async function submit(): Promise<void> {
  const description = JSON.parse(await readFile(first, 'utf8')) as Description;
  const jobs = [{ label: 'case', priority: 0, retries: 2, description }];
  const submission = { key: first, queue, campaign: 'conformance', owner: 'somebody', jobs };
  const made = await createControlClient({ socketPath: controlSocket }).submit(submission);
  console.log(made.jobs[0]);
}

async function putInput(): Promise<void> {
  const content = await readFile(first);
  // It is on the bus before it says where it serves files.
  const url = await eventually(
    'the bridge to serve',
    () => readFile(urlFile, 'utf8').catch(() => undefined),
    10_000,
  );
  const store = createResultStore({ url, operatorToken });
  await store.put({
    kind: 'content',
    size: content.length,
    sha256: sha256Of(content),
    content: content.toString('utf8'),
  });
}
