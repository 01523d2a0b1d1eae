/** Starts a CRAB server of its own: `node main.ts --directory DIR`. Ends on SIGTERM, or when standard input ends. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startCrabDouble } from './crab-double.ts';
import { makeWrapper } from './wrapper.ts';

const { values } = parseArgs({
  options: { directory: { type: 'string', default: '.' }, port: { type: 'string', default: '0' } },
});
mkdirSync(values.directory, { recursive: true });
const wrapperFile = join(values.directory, 'CMSRunAnalysis.tar.gz');
writeFileSync(wrapperFile, makeWrapper());

const crab = await startCrabDouble({
  authentication: { anyone: 'alice', operators: ['alice'] },
  aso: { stepMs: 300, checksSource: true },
  port: Number(values.port),
});
const options = {
  wrapperFile,
  cmsSite: 'T3_CH_Volunteer',
  requirements: '',
  stageOutUrl: crab.storageUrl,
  pollSeconds: 1,
  transferPollSeconds: 1,
  diskMiB: 64,
};
console.log(JSON.stringify({ event: 'ready', url: crab.url, files: {}, options, queue: 'co-pilot' }));

const end = (): void => void crab.stop().then(() => process.exit(0));
process.once('SIGTERM', end);
process.once('SIGINT', end);
process.stdin.once('end', end);
process.stdin.resume();
