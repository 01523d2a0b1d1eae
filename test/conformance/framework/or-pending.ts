/** What a promise came to, or that it still waits for something. */
export async function orPending<T>(promise: Promise<T>): Promise<T | 'pending'> {
  const turn = new Promise<'pending'>((resolve) => setImmediate(() => resolve('pending')));
  return Promise.race([promise, turn]);
}
