const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]/g;

/** The first name that an object in a JSON text has twice; the text is known to be JSON. */
export function repeatedField(text: string): string | undefined {
  const names: Set<string>[] = [];
  const tokens = text.match(TOKEN) ?? [];
  for (const [index, token] of tokens.entries()) {
    if (token === '{') names.push(new Set());
    else if (token === '[') names.push(new Set());
    else if (token === '}' || token === ']') names.pop();
    else if (token.startsWith('"') && tokens[index + 1] === ':') {
      const name: unknown = JSON.parse(token);
      const own = names.at(-1);
      if (own?.has(String(name)) === true) return String(name);
      own?.add(String(name));
    }
  }
  return undefined;
}
