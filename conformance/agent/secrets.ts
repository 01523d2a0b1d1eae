/** The first of some secrets that a text shows. */
export function secretIn(text: string, secrets: readonly string[]): string | undefined {
  return secrets.find((secret) => text.includes(secret));
}
