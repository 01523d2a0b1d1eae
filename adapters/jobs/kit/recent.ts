/** What is known of ids of late. */
export interface Recent<Value> {
  set(id: string, value: Value): void;
  remove(id: string): void;
  get(id: string): Value | undefined;
}

/** Keeps what was set last: of that at least `least`, and at most twice as many, in time that does not grow with them. */
export function createRecent<Value>(least: number): Recent<Value> {
  let young = new Map<string, Value>();
  let old = new Map<string, Value>();
  return {
    set(id, value) {
      young.set(id, value);
      if (young.size < least) return;
      old = young;
      young = new Map();
    },
    remove(id) {
      young.delete(id);
      old.delete(id);
    },
    get: (id) => young.get(id) ?? old.get(id),
  };
}
