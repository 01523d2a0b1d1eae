/** The fields of a context by name; what was said first counts. */
export type Fields = ReadonlyMap<string, string>;

/**
 * Lines of `KEY=VALUE`, each split at its first `=`. Values are taken as they are: nobody escapes them, and a name that holds a line break
 * makes a line of its own. Lines of another shape are passed over. `isWhole`: the text was not cut; else its last line may have been.
 */
export function keyValues(text: string, isWhole = true): Fields {
  const fields = new Map<string, string>();
  const lines = text.split('\n');
  if (!isWhole) lines.pop();
  for (const line of lines) {
    const at = line.indexOf('=');
    const key = line.slice(0, Math.max(0, at)).trim();
    if (/^[A-Z][A-Z0-9_]{0,63}$/.test(key) && !fields.has(key)) fields.set(key, line.slice(at + 1).trim());
  }
  return fields;
}
