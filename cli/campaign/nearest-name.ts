/** The known name that a misspelt one most likely stands for: at most a third of it differs, or two letters of a short one. */
export function nearestName(wrong: string, known: readonly string[]): string | undefined {
  const word = wrong.slice(0, 64).toLowerCase();
  const allowed = word.length < 4 ? 1 : Math.max(2, Math.floor(word.length / 3));
  const ranked = known
    .map((name) => ({ name, distance: editDistance(word, name.toLowerCase()) }))
    .filter(({ distance }) => distance <= allowed)
    .sort((one, other) => one.distance - other.distance);
  return ranked[0]?.name;
}

/** How many letters have to be added, dropped or changed. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [index, letter] of Array.from(one).entries()) {
    const next = [index + 1];
    for (const [at, target] of Array.from(other).entries()) {
      const changed = (row[at] ?? 0) + (letter === target ? 0 : 1);
      next.push(Math.min(changed, (row[at + 1] ?? 0) + 1, (next[at] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
