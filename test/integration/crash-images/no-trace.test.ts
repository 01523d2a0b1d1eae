import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { requireStrace, startTraced } from '../../crash-images/traced-program.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

let folder: string;
let root: string;

beforeEach(async () => {
  folder = await temporaryDirectory('no-trace');
  root = join(folder, 'root');
  await mkdir(root);
});
afterEach(() => removeDirectory(folder));

/** Runs a program of one line that ends by itself. */
async function startLine(line: string, strace?: string) {
  const script = join(folder, 'program.mjs');
  await writeFile(script, `import fs from 'node:fs'; ${line}; process.disconnect();`);
  return startTraced({
    script: new URL(`file://${script}`),
    arguments: [],
    root,
    traceFile: join(folder, 'trace'),
    ...(strace !== undefined && { strace }),
  });
}

it.each(['/bin/false', '/nowhere/strace'])('a run without a trace fails: %s', async (strace) => {
  const program = await startLine('', strace);
  await expect(program.message()).rejects.toThrow('no trace of');
  await expect(program.trace()).rejects.toThrow();
});

it('a run in which nothing was synced fails', async (context) => {
  requireStrace(context);
  const program = await startLine(`fs.writeFileSync('${root}/a', 'one')`);
  await expect(program.trace()).rejects.toThrow('it holds no sync');
});

it('a run that wrote what its trace does not hold fails', async (context) => {
  requireStrace(context);
  const program = await startLine(
    `fs.writeFileSync('${root}/a', 'one'); fs.fsyncSync(fs.openSync('${root}/a', 'r'))`,
  );
  await program.ended();
  await writeFile(join(root, 'b'), 'written by somebody else');
  await expect(program.trace()).rejects.toThrow('it does not explain b');
});
