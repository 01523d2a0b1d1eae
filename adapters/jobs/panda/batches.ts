/** Gathers single calls into calls for many: what came while one was under way goes with the next, never a timer. */
export interface Batches<In, Out> {
  /** Resolves with the answer to this one; rejects as the call for all did. */
  ask(item: In): Promise<Out>;
}

interface Waiting<In, Out> {
  readonly item: In;
  readonly resolve: (value: Out) => void;
  readonly reject: (reason: unknown) => void;
}

/** At most `most` items go in one call, one call at a time and in order: `run` answers one for each, in their order. */
export function createBatches<In, Out>(
  most: number,
  run: (items: readonly In[]) => Promise<readonly Out[]>,
): Batches<In, Out> {
  const waiting: Waiting<In, Out>[] = [];
  let isBusy = false;

  const next = async (): Promise<void> => {
    // What is asked in one turn of the loop goes together.
    await Promise.resolve();
    for (let batch = waiting.splice(0, most); batch.length > 0; batch = waiting.splice(0, most))
      await runOne(batch);
    isBusy = false;
  };
  const runOne = async (batch: readonly Waiting<In, Out>[]): Promise<void> => {
    try {
      const answers = await run(batch.map(({ item }) => item));
      batch.forEach(({ resolve, reject }, at) => {
        const answer = answers[at];
        if (answer === undefined) reject(new Error('an item of a batch was not answered'));
        else resolve(answer);
      });
    } catch (caught) {
      for (const { reject } of batch) reject(caught);
    }
  };

  return {
    ask: (item) =>
      new Promise<Out>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (isBusy) return;
        isBusy = true;
        void next();
      }),
  };
}
