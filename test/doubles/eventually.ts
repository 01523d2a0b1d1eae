/** A look costs whoever is looked at: what takes long is looked at less often. */
const POLL_MS = { first: 10, most: 200, growth: 1.2 };

/**
 * Looks again and again until there is something to see, and answers it; fails after `withinMs`, saying what was waited for
 * and what was seen last.
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  withinMs: number,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs;
  let lastError = '';
  let pauseMs = POLL_MS.first;
  for (;;) {
    try {
      const seen = await look();
      if (seen !== undefined) return seen;
      lastError = '';
    } catch (caught) {
      lastError = caught instanceof Error ? `; last: ${caught.message}` : `; last: ${String(caught)}`;
    }
    if (performance.now() > deadlineMs)
      throw new Error(`waited ${withinMs} ms in vain for ${what}${lastError}`);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    pauseMs = Math.min(POLL_MS.most, pauseMs * POLL_MS.growth);
  }
}

/** As `eventually`, for a condition. */
export async function eventuallyTrue(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs: number,
): Promise<void> {
  await eventually(what, async () => ((await holds()) ? true : undefined), withinMs);
}
