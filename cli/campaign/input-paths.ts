/** The files that `inputs` of a campaign names, in either of its shapes; what has another shape is told of elsewhere. */
export function inputPaths(data: unknown): readonly string[] {
  const inputs = typeof data === 'object' && data !== null && 'inputs' in data ? data.inputs : undefined;
  if (typeof inputs !== 'object' || inputs === null) return [];
  return Object.values(inputs).flatMap(pathOf);
}

function pathOf(input: unknown): readonly string[] {
  if (typeof input === 'string') return [input];
  if (typeof input !== 'object' || input === null) return [];
  return 'path' in input && typeof input.path === 'string' ? [input.path] : [];
}
