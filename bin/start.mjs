import { fileURLToPath } from 'node:url';
import { findNode24 } from './find-node.mjs';
import { ensureInstalled } from './install.mjs';
import { launch } from './launch.mjs';
import { Stop } from './stop.mjs';

const checkout = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

/** A file of this project, wherever the program was started. */
export function ours(path) {
  return fileURLToPath(new URL(`../${path}`, import.meta.url));
}

/**
 * Makes the checkout fit to run (`run`) or to test (`dev`), then runs Node 24 with what `argumentsOf` says and takes over
 * its exit code. What is in the way is said in one line with the next step, exit code 1.
 */
export async function start(kind, argumentsOf) {
  try {
    const args = argumentsOf();
    const node = await findNode24(checkout);
    await ensureInstalled(kind, checkout);
    process.exitCode = await launch(node, args);
  } catch (error) {
    process.exitCode = 1;
    if (!(error instanceof Stop)) throw error;
    if (error.details !== '') console.error(error.details);
    console.error(`co-pilot: ${error.message}`);
  }
}
