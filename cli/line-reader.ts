/** Longest line that is read, in characters; a longer one is skipped whole. */
export const MAX_LINE = 64 * 1024;

/**
 * Cuts a stream of text into lines. Agents are among those who write them, and nobody vouches for an agent: what it says
 * without an end is not kept.
 */
export function lineReader(onLine: (line: string) => void): (chunk: string) => void {
  let begun = '';
  let isSkipping = false;
  return (chunk) => {
    const [first = '', ...others] = chunk.split('\n');
    begun += isSkipping ? '' : first;
    for (const next of others) {
      if (!isSkipping && begun.length <= MAX_LINE) onLine(begun);
      isSkipping = false;
      begun = next;
    }
    if (begun.length > MAX_LINE) {
      isSkipping = true;
      begun = '';
    }
  };
}
