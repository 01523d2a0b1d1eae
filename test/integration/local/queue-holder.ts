import { createLocalAdapter } from '../../../adapters/jobs/local/local-adapter.ts';
import { openLocalQueue } from '../../../adapters/jobs/local/local-queue.ts';
import { createLog } from '../../../protocol/runtime/log.ts';
import { nodeRandom } from '../../../protocol/runtime/node-runtime.ts';
import { wanted } from '../../conformance/job-adapter.ts';

/** A process that submits and accepts without end and says what was acknowledged, to be killed at any moment. */
const [path = ''] = process.argv.slice(2);
const queue = await openLocalQueue({
  path,
  random: nodeRandom,
  log: createLog('holder', { level: 'silent' }),
});
const adapter = createLocalAdapter({ queue });

for (let turn = 0; ; turn++) {
  const jobs = ['a', 'b', 'c'].map((name) => ({
    ...wanted(`${turn}-${name}`),
    label: `${turn}-${name}`,
    retries: 1,
  }));
  const { jobs: ids } = await queue.submit({
    key: `turn-${turn}`,
    queue: 'main',
    campaign: 'crash',
    owner: 'tester',
    jobs,
  });
  process.stdout.write(`submitted ${turn} ${ids.join(' ')}\n`);
  const fetched = await adapter.fetch('main', 2, []);
  const accepted = fetched.jobs.map((job) => job.job);
  await adapter.fetch('main', 1, accepted);
  process.stdout.write(`accepted ${accepted.join(' ')}\n`);
  const [first = ''] = accepted;
  const outcome = await adapter.finished(
    first,
    1,
    [],
    {
      wallSeconds: 1,
      cpuSeconds: 1,
      memoryMiB: 1,
      diskMiB: 1,
    },
    '',
  );
  process.stdout.write(`finished ${first} ${JSON.stringify(outcome)}\n`);
}
