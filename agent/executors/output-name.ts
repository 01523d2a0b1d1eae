const maxNameBytes = 1_024;
const maxPartBytes = 255;
const maxParts = 16;
/** Control characters, and what other systems take for a separator. */
const forbidden = /[\p{Cc}\p{Cs}\\]/u;

/**
 * The components of a declared output's name, or undefined where the name is absolute, empty, too long or deep, or could mean anything
 * but a file below the directory.
 */
export function outputNameParts(name: string): readonly string[] | undefined {
  if (name === '' || Buffer.byteLength(name) > maxNameBytes || forbidden.test(name)) return undefined;
  const parts = name.split('/');
  if (parts.length > maxParts) return undefined;
  const isPlain = (part: string): boolean =>
    part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= maxPartBytes;
  return parts.every(isPlain) ? parts : undefined;
}
