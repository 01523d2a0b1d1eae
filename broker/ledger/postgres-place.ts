/** Where the ledger's database is. */
export interface PostgresPlace {
  /** `postgres://user@host:port/database?sslmode=verify-full`; a password in it is never shown. */
  readonly url: string;
  /** Where the url has none. */
  readonly password?: string;
  /** Holds all tables of the ledger and nothing else; made where it is not there. */
  readonly schema?: string;
}

const DEFAULT_SCHEMA = 'co_pilot';

export function schemaOf({ schema = DEFAULT_SCHEMA }: PostgresPlace): string {
  return schema;
}

/** The place as people may see it: host and database, no password. */
export function placeText(place: PostgresPlace): string {
  try {
    const url = new URL(place.url);
    return `${url.host || 'on this machine'}${url.pathname}`;
  } catch {
    return 'at an address that cannot be read';
  }
}
