import { ours, start } from './start.mjs';

await start('dev', () => [ours('bin/test.ts'), ...process.argv.slice(2)]);
