/** Runs what it is given one after another, in the order in which it was given; what rejects keeps nobody else waiting. */
export function oneAtATime(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const own = last.then(act);
    last = own.catch(() => undefined); // whoever gave it hears of it
    return own;
  };
}
