import type { FrameworkHttp } from '../../adapters/jobs/kit/framework-http.ts';

/** HTTP that knows how many calls are under way. */
export interface CountedHttp extends FrameworkHttp {
  readonly open: number;
}

export function countedHttp(http: FrameworkHttp): CountedHttp {
  let open = 0;
  return {
    async send(request) {
      open++;
      try {
        return await http.send(request);
      } finally {
        open--;
      }
    },
    stop: () => http.stop(),
    get open() {
      return open;
    },
  };
}

/** Quiet for as many turns of the event loop: what promises lead to has begun. */
const QUIET_TURNS = 4;
const PATIENCE_MS = 10_000;

/** Resolves once nothing is under way but what cannot go on by itself. */
export async function untilQuiet(isQuiet: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  for (let quiet = 0; quiet < QUIET_TURNS; ) {
    await new Promise((resolve) => setImmediate(resolve));
    quiet = isQuiet() ? quiet + 1 : 0;
    if (performance.now() > deadlineMs) throw new Error('calls to the framework do not come to an end');
  }
}
