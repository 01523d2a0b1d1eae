/** One thing that was looked at. */
export interface Finding {
  readonly what: string;
  readonly status: 'ok' | 'warning' | 'problem';
  readonly detail: string;
  /** What to do; empty where all is well. */
  readonly next: string;
}

export function ok(what: string, detail: string): Finding {
  return { what, status: 'ok', detail, next: '' };
}

export function warning(what: string, detail: string, next: string): Finding {
  return { what, status: 'warning', detail, next };
}

export function problem(what: string, detail: string, next: string): Finding {
  return { what, status: 'problem', detail, next };
}

/** Makes a check that fails in an unforeseen way a finding like any other. */
export async function found(
  what: string,
  check: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await check()].flat();
  } catch (caught) {
    const detail = caught instanceof Error ? caught.message : String(caught);
    return [
      problem(what, `cannot be found out: ${detail.split('\n')[0] ?? ''}`, 'see what stands in the way'),
    ];
  }
}
