import { Stop } from './stop.mjs';
import { start } from './start.mjs';

/** `node bin/node24.mjs FILE.ts ARGUMENT...` runs a file of the project under Node 24, with everything installed. */
await start('dev', () => {
  const args = process.argv.slice(2);
  if (args.length === 0) throw new Stop('which file? node bin/node24.mjs FILE.ts ARGUMENT...');
  return args;
});
