/** Submits jobs by PanDA's own API: `node test/doubles/panda/submit.ts --url URL --directory DIR --jobs N`. */
import { callPanda, readArguments } from './command-line.ts';
import { submission } from './submission.ts';

const settings = readArguments();

function job(number: number): readonly unknown[] {
  const name = `cp.${Date.now().toString(36)}.${String(number).padStart(4, '0')}`;
  const output = `user.${name}.txt`;
  const file = { scope: 'user.cp', dataset: 'user.cp:user.cp.out', destinationSE: 'CP_DISK' };
  return submission(
    {
      jobName: name,
      computingSite: 'CP_TEST',
      prodSourceLabel: 'user',
      prodUserID: 'cp robot',
      transformation: `${settings.url}/trf/user/hello.sh`,
      jobParameters: `world ${output}`,
      currentPriority: 1000,
      maxAttempt: 1,
      maxCpuCount: 600,
      maxWalltime: 600,
      minRamCount: 64,
      maxDiskCount: 64,
    },
    [
      { ...file, type: 'output', lfn: output },
      { ...file, type: 'log', lfn: `user.${name}.log.tgz` },
    ],
  );
}

const jobs = Array.from({ length: settings.jobs }, (_, at) => job(at + 1));
const stored = (await callPanda(settings, 'POST', 'job/submit', { jobs: JSON.stringify(jobs) })) as readonly [
  number,
][];
console.log(JSON.stringify({ submitted: stored.map(([id]) => String(id)) }));
