/** For a rejection of a file's: nothing where there is no such file. Throws everything else. */
export function unlessMissing(caught: unknown): undefined {
  if (caught instanceof Error && 'code' in caught && caught.code === 'ENOENT') return undefined;
  throw caught;
}
