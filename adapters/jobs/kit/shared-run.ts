/**
 * A function that runs `act` for all who call it in one turn of the loop, or while it is under way: they share the next run, which begins
 * after their calls. Rejects for all of them where it does; the next call tries anew.
 */
export function sharedRun(act: () => Promise<void>): () => Promise<void> {
  let last: Promise<void> = Promise.resolve();
  let next: Promise<void> | undefined;
  const run = async (): Promise<void> => {
    next = undefined;
    await act();
  };
  return () => {
    // Whoever shared the one before has heard of its end.
    next ??= last = last.catch(() => undefined).then(run);
    return next;
  };
}
