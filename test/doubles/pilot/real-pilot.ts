/** `PILOT_DIR=… npm run test:pilot`: a real pilot, in a jail, before a real end point. Ends with 2 where none is given. */
import { readFile } from 'node:fs/promises';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { OUTPUTS, startTrial } from './pilot-trial.ts';

const given = process.env['PILOT_DIR'];

async function run(pilot: string): Promise<number> {
  const trial = await startTrial({ method: 'bubblewrap', pilot, jobPars: 'hello' });
  try {
    const { exit, said } = await trial.finish();
    console.log(said);
    console.log(`asked: ${trial.asked.join(' ')}`);
    console.log(`states: ${trial.updates.map(({ state }) => String(state)).join(' ')}`);
    console.log(`ended: ${JSON.stringify(exit)}`);
    const [output] = OUTPUTS;
    const made = await readFile(join(trial.work, output), 'utf8').catch(() => '');
    const isGood = trial.updates.at(-1)?.['state'] === 'finished' && made === 'hello\n';
    console.log(isGood ? 'the pilot finished its job' : 'the pilot did not finish its job');
    return isGood ? 0 : 1;
  } finally {
    await trial.close();
  }
}

if (given === undefined || !existsSync(join(given, 'pilot.py'))) {
  console.error('No pilot was run: PILOT_DIR names no directory with pilot.py in it.');
  process.exitCode = 2;
} else process.exitCode = await run(realpathSync(given));
