const FILE_NAME = /^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:\/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$/;
const MAX_FILE_NAME = 128;

/** What is wrong with a job's file name, or undefined (common.schema.json, fileName). */
export function fileNameFault(name: string): string | undefined {
  if (name.length > MAX_FILE_NAME) return `has over ${MAX_FILE_NAME} characters`;
  if (FILE_NAME.test(name)) return undefined;
  return 'is no file name: letters, digits and ._+=,@- only, no part starts with a dot, parts joined by single slashes';
}

/**
 * The name among `others` that cannot lie beside `name` on every machine: the same but for the case of letters, or one is
 * the directory of the other.
 */
export function collision(name: string, others: readonly string[]): string | undefined {
  const own = name.toLowerCase();
  return others.find((other) => {
    const taken = other.toLowerCase();
    return own === taken || own.startsWith(`${taken}/`) || taken.startsWith(`${own}/`);
  });
}
