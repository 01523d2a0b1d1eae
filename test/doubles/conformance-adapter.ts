import { join } from 'node:path';
import type { AnswerAsk } from '../../adapters/adapter-program.ts';
import { startLocalAdapter } from '../../adapters/jobs/local/main.ts';
import { startBridge } from '../../adapters/storage/bridge/main.ts';
import { createControlClient } from '../../cli/control-client.ts';
import { createResultStore } from '../../cli/result-store.ts';
import type { AdapterSubject } from '../../conformance/adapter/subject.ts';
import { sha256Of } from '../../conformance/peer/key-holder.ts';
import { dropReader } from '../../cli/campaign/drop-reader.ts';
import { silentLog } from './silent-log.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';

export type Around = (answer: AnswerAsk) => AnswerAsk;

const honest: Around = (answer) => answer;
const OPERATOR_TOKEN = 'operator-token-of-the-test';
const MIB = 1024 * 1024;

/** The local job adapter as the conformance suite is lent it; `around` stands around its answers. */
export async function localSubject(around: Around = honest): Promise<AdapterSubject> {
  const directory = await temporaryDirectory('adapter');
  const controlSocket = join(directory, 'control', 'control.sock');
  const queue = createControlClient({ socketPath: controlSocket });
  let submissions = 0;
  return {
    kind: 'job',
    async start(configuration) {
      const program = await startLocalAdapter({
        directory,
        controlSocket,
        configuration: { ...configuration, busUrls: [configuration.busUrl] },
        log: silentLog,
        around,
        reader: dropReader,
      });
      return async () => {
        await program.stop();
        await removeDirectory(directory);
      };
    },
    async submit(description, name) {
      const jobs = [{ label: 'case', priority: 0, retries: 2, description }];
      const submission = {
        key: `case-${++submissions}`,
        queue: name,
        campaign: 'conformance',
        owner: 'somebody',
        jobs,
      };
      const [id] = (await queue.submit(submission)).jobs;
      if (id === undefined) throw new Error('no job was made');
      return id;
    },
    async cancel(job) {
      await queue.cancel(job);
    },
  };
}

/** The Data Bridge as the conformance suite is lent it. */
export async function bridgeSubject(around: Around = honest): Promise<AdapterSubject> {
  const directory = await temporaryDirectory('adapter');
  let url = '';
  return {
    kind: 'storage',
    async start(configuration) {
      const ceiling = {
        maxFileBytes: MIB,
        maxAttemptBytes: 2 * MIB,
        maxTotalBytes: 64 * MIB,
        verbs: ['get', 'put'] as const,
      };
      const own = { host: '127.0.0.1', port: 0, operatorToken: OPERATOR_TOKEN, ceiling };
      const program = await startBridge({
        directory,
        configuration: { ...configuration, ...own, busUrls: [configuration.busUrl] },
        log: silentLog,
        around,
      });
      url = program.url;
      return async () => {
        await program.stop();
        await removeDirectory(directory);
      };
    },
    async putInput(content) {
      const text = Buffer.from(content).toString('utf8');
      const store = createResultStore({ url, operatorToken: OPERATOR_TOKEN });
      await store.put({ kind: 'content', size: content.length, sha256: sha256Of(content), content: text });
    },
  };
}
