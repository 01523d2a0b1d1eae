/**
 * The double as a process: `node test/doubles/panda/main.ts [--directory DIR] [--port N] [--dialect v1|legacy|both]`. Prints one line of
 * JSON once it serves, and ends on SIGTERM or when its standard input ends.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { ORIGIN, tokenFile } from './command-line.ts';
import { startPanda } from './panda-server.ts';

const { values } = parseArgs({
  options: {
    directory: { type: 'string', default: '.' },
    port: { type: 'string', default: '0' },
    dialect: { type: 'string', default: 'both' },
  },
});
const TOKEN_SECONDS = 30 * 86_400;

const panda = await startPanda({
  port: Number(values.port),
  dialects: values.dialect === 'v1' ? ['v1'] : values.dialect === 'legacy' ? ['legacy'] : ['v1', 'legacy'],
});
panda.serve('/trf/user/hello.sh', '#!/bin/sh\necho "hello $*" >"$2"\n');
await mkdir(values.directory, { recursive: true });
const file = tokenFile(values.directory);
await writeFile(file, panda.token({ expiresInSeconds: TOKEN_SECONDS }), { mode: 0o600 });
const options = { origin: ORIGIN, label: 'unified' };
console.log(
  JSON.stringify({ event: 'ready', url: panda.url, files: { tokenFile: file }, queue: 'CP_TEST', options }),
);

const stop = (): void => {
  void panda.close().then(() => process.stdin.destroy());
};
process.once('SIGTERM', stop);
process.stdin.once('end', stop).resume();
