import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Stop } from './stop.mjs';

const POLL_MS = 200;
const WAIT_MS = 15 * 60_000;
const UNNAMED_MS = 10_000;

/** Runs `work` while no other process that uses the same lock folder does; a dead owner's lock is taken over. */
export async function withLock(folder, work) {
  mkdirSync(dirname(folder), { recursive: true });
  const deadline = Date.now() + WAIT_MS;
  while (!taken(folder)) {
    if (isAbandoned(folder)) remove(folder);
    else if (Date.now() > deadline)
      throw new Stop(`another install holds ${folder}; end it or remove the folder`);
    else await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  try {
    return await work();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function taken(folder) {
  try {
    mkdirSync(folder);
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw new Stop(`cannot write ${dirname(folder)} (${error.code}); make the checkout writable`);
  }
  writeFileSync(join(folder, 'pid'), String(process.pid));
  return true;
}

function isAbandoned(folder) {
  try {
    process.kill(Number(readFileSync(join(folder, 'pid'), 'utf8') || 'none'), 0);
    return false;
  } catch (error) {
    if (error.code === 'ESRCH') return true;
    if (error.code === 'EPERM') return false;
    return isOld(folder);
  }
}

/** A lock without an owner's number: its owner is about to write it, or died before it could. */
function isOld(folder) {
  try {
    return Date.now() - statSync(folder).mtimeMs > UNNAMED_MS;
  } catch {
    return false; // gone: the next try takes it
  }
}

/** Renamed first, so that of two that judge a lock abandoned only one removes it. */
function remove(folder) {
  const aside = `${folder}.${process.pid}`;
  try {
    renameSync(folder, aside);
    rmSync(aside, { recursive: true, force: true });
  } catch {
    // another process was quicker; the next try sees what it left
  }
}
