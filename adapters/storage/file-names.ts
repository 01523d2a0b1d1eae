/** As the schemas' `fileName`: relative segments that do not start with a dot. A test holds the two together. */
export const FILE_NAME = /^[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*(?:\/[A-Za-z0-9_+=,@-][A-Za-z0-9._+=,@-]*)*$/;
export const MAX_FILE_NAME_CHARACTERS = 128;
/** Files one attempt may have, as many as a manifest can name. */
export const MAX_ATTEMPT_FILES = 64;

/** Whether storage takes a name at all. Names are ASCII, so that Unicode forms cannot make two of one. */
export function isFileName(name: string): boolean {
  return name.length <= MAX_FILE_NAME_CHARACTERS && FILE_NAME.test(name);
}

/** One value for all names that some file system would not tell apart. */
export function foldedName(name: string): string {
  return name.toLowerCase();
}

/**
 * The first of the other names that cannot stand beside this one: equal but for case, or one a directory of the other.
 * The same name is no collision with itself.
 */
export function collidingName(name: string, others: Iterable<string>): string | undefined {
  const folded = foldedName(name);
  for (const other of others) {
    if (other !== name && clash(folded, foldedName(other))) return other;
  }
  return undefined;
}

function clash(one: string, other: string): boolean {
  return one === other || one.startsWith(`${other}/`) || other.startsWith(`${one}/`);
}
