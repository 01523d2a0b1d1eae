/** What is known of ids of late. */
export interface Recent<Value> {
  set(id: string, value: Value): void;
  remove(id: string): void;
  get(id: string): Value | undefined;
}

/** The one set longest ago is forgotten first. */
export function createRecent<Value>(most: number): Recent<Value> {
  const values = new Map<string, Value>();
  return {
    set(id, value) {
      values.delete(id);
      values.set(id, value);
      const [oldest] = values.keys();
      if (values.size > most && oldest !== undefined) values.delete(oldest);
    },
    remove: (id) => void values.delete(id),
    get: (id) => values.get(id),
  };
}
