/** Gathers single calls into calls for many: what came while others were under way goes with the next, never a timer. */
export interface Batches<In, Out> {
  /** Resolves with the answer to this one; rejects as the call for all did. */
  ask(item: In): Promise<Out>;
}

export interface BatchOptions<In, Out> {
  /** Items of one call. */
  readonly most: number;
  /** Whom an item is about: items about the same one go one after another, in their order. */
  readonly keyOf: (item: In) => number;
  /** Answers one for each item, in their order. */
  readonly run: (items: readonly In[]) => Promise<readonly Out[]>;
}

interface Waiting<In, Out> {
  readonly item: In;
  readonly key: number;
  readonly resolve: (value: Out) => void;
  readonly reject: (reason: unknown) => void;
}

/** One is made ready here while the server is at the other. */
const AT_ONCE = 2;

export function createBatches<In, Out>({ most, keyOf, run }: BatchOptions<In, Out>): Batches<In, Out> {
  let waiting: Waiting<In, Out>[] = [];
  const underWay = new Set<number>();
  let calls = 0;
  let isAwake = false;

  /** What is asked in one turn of the loop goes together. */
  const wake = (): void => {
    if (isAwake) return;
    isAwake = true;
    queueMicrotask(() => {
      isAwake = false;
      begin();
    });
  };
  const begin = (): void => {
    if (calls >= AT_ONCE) return;
    const batch = take();
    if (batch.length === 0) return;
    calls++;
    void runOne(batch).then(() => {
      calls--;
      for (const { key } of batch) underWay.delete(key);
      wake();
    });
  };
  const take = (): readonly Waiting<In, Out>[] => {
    const batch: Waiting<In, Out>[] = [];
    waiting = waiting.filter((one) => {
      if (batch.length >= most || underWay.has(one.key)) return true;
      underWay.add(one.key);
      batch.push(one);
      return false;
    });
    return batch;
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
        waiting.push({ item, key: keyOf(item), resolve, reject });
        wake();
      }),
  };
}
