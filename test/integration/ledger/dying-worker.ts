import { parentPort } from 'node:worker_threads';

/** Opens well, and dies of the first question. */
parentPort?.postMessage({ kind: 'value', value: null });
parentPort?.on('message', () => {
  throw new Error('as the test ordered');
});
