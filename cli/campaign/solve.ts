/** Solves a small system of linear equations by elimination with pivots; undefined where it has no single solution. */
export function solveSymmetric(
  matrix: readonly (readonly number[])[],
  right: readonly number[],
): readonly number[] | undefined {
  // Rows and columns are scaled to a unit diagonal first: the unknowns differ by many orders of magnitude.
  const scales = matrix.map((row, at) => Math.sqrt(row[at] ?? 0));
  if (scales.some((scale) => !(scale > 0) || !Number.isFinite(scale))) return undefined;
  const rows = matrix.map((row, at) => [
    ...row.map((value, column) => value / ((scales[at] ?? 1) * (scales[column] ?? 1))),
    (right[at] ?? 0) / (scales[at] ?? 1),
  ]);
  for (let column = 0; column < rows.length; column++) {
    if (!eliminate(rows, column)) return undefined;
  }
  return rows.map((row, at) => (row[rows.length] ?? 0) / ((row[at] ?? 1) * (scales[at] ?? 1)));
}

/** Clears a column in all rows but its own; false where nothing is left to divide by. */
function eliminate(rows: number[][], column: number): boolean {
  const best = bestPivot(rows, column);
  const pivot = rows[best];
  const current = rows[column];
  if (pivot === undefined || current === undefined) return false;
  rows[best] = current;
  rows[column] = pivot;
  const head = pivot[column] ?? 0;
  if (!(Math.abs(head) > 1e-14)) return false;
  for (const [at, row] of rows.entries()) {
    if (at === column) continue;
    const factor = (row[column] ?? 0) / head;
    for (let index = column; index < row.length; index++)
      row[index] = (row[index] ?? 0) - factor * (pivot[index] ?? 0);
  }
  return true;
}

function bestPivot(rows: readonly (readonly number[])[], column: number): number {
  let best = column;
  for (let at = column + 1; at < rows.length; at++) {
    if (Math.abs(rows[at]?.[column] ?? 0) > Math.abs(rows[best]?.[column] ?? 0)) best = at;
  }
  return best;
}
