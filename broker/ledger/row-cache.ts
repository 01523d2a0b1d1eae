/** The rows written or read last, parsed; at most `limit`, the oldest go first. Holds durable rows only. */
export interface RowCache<Row> {
  readonly get: (id: string) => Row | undefined;
  readonly put: (id: string, row: Row) => void;
  readonly drop: (id: string) => void;
}

export function createRowCache<Row>(limit: number): RowCache<Row> {
  const rows = new Map<string, Row>();
  return {
    get: (id) => rows.get(id),
    put: (id, row) => {
      rows.delete(id);
      rows.set(id, row);
      if (rows.size <= limit) return;
      const oldest = rows.keys().next();
      if (oldest.done !== true) rows.delete(oldest.value);
    },
    drop: (id) => {
      rows.delete(id);
    },
  };
}

/** Reads through the cache. */
export function cached<Row>(
  cache: RowCache<Row>,
  load: (id: string) => Row | undefined,
): (id: string) => Row | undefined {
  return (id) => {
    const known = cache.get(id);
    if (known !== undefined) return known;
    const row = load(id);
    if (row !== undefined) cache.put(id, row);
    return row;
  };
}
