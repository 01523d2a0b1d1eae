import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { askBroker } from '../../cli/connection.ts';

/** Where codes lie: agents take them from `ready`, and rename them into `taken`. */
const READY = '/codes/ready';
const TAKEN = '/codes/taken';
const { COPILOT_DATA: data = '', OWNER: owner, SITE: site, STOCK: stock = '8' } = process.env;
const LOOK_MS = 500;
const GOOD_SECONDS = 86_400;
/** An agent that takes a code has half of its time left. */
const KEEP_MS = (GOOD_SECONDS / 2) * 1000;

/** Keeps some one-use codes ready for agents that have not enrolled yet, until it is told to end. */
async function keepStock(signal: AbortSignal): Promise<void> {
  for (const folder of [READY, TAKEN]) await mkdir(folder, { recursive: true, mode: 0o700 });
  while (!signal.aborted) {
    for (const folder of [READY, TAKEN]) await removeOld(folder);
    const ready = await readdir(READY);
    for (let more = Number(stock) - ready.length; more > 0; more--) await addCode();
    await pause(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

async function addCode(): Promise<void> {
  const body = { owner, site, seconds: GOOD_SECONDS };
  const { code } = await askBroker<{ readonly code: string }>(data, 'POST', '/v1/codes', body);
  const making = '/codes/making';
  await writeFile(making, `${code}\n`, { mode: 0o600 });
  // Whole, or not there.
  await rename(making, join(READY, process.hrtime.bigint().toString()));
}

async function removeOld(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    // An agent may take it meanwhile.
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    if (Date.now() - mtimeMs > KEEP_MS) await rm(path, { force: true });
  }
}

const ended = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => ended.abort());
await keepStock(ended.signal);
