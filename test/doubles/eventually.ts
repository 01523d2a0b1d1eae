const POLL_MS = 20;

/**
 * Looks again and again until there is something to see, and answers it; fails after `withinMs`, saying what was waited for
 * and what was seen last. Where a look costs something, `everyMs` makes it rarer.
 */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  withinMs: number,
  everyMs = POLL_MS,
): Promise<T> {
  const deadlineMs = performance.now() + withinMs;
  let lastError = '';
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
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/** As `eventually`, for a condition. */
export async function eventuallyTrue(
  what: string,
  holds: () => boolean | Promise<boolean>,
  withinMs: number,
  everyMs = POLL_MS,
): Promise<void> {
  await eventually(what, async () => ((await holds()) ? true : undefined), withinMs, everyMs);
}
