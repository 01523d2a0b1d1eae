import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import { createEnvelopes, type Envelopes, type Ticket } from './envelopes.ts';

export interface CatalogueFile {
  readonly lfn: string;
  readonly size: string;
  readonly md5: string;
  readonly guid: string;
  readonly pfns: { readonly se: string; readonly pfn: string }[];
}

/** A row of LFN_BOOKED: written when a place is given, gone when the file is registered, or after a day. */
export interface Booking extends Ticket {
  readonly job: string;
  readonly expiresMs: number;
  /** Rejected: kept for 30 days so that the copy is cleaned up. */
  isRejected: boolean;
}

export interface Access extends Ticket {
  readonly envelope: string;
  readonly nSEs: string;
}

/** Refusals are Linux error numbers with a sentence, as the server's. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly errno: number;
  constructor(errno: number, message: string) {
    super(message);
    this.errno = errno;
  }
}

export interface FileCatalogueOptions {
  readonly clock: Clock;
  /** Where storages are, by their names; the first ones are taken where a count is asked for. */
  readonly storages: Readonly<Record<string, string>>;
  /** Bytes that may be registered; more is 122. */
  readonly quota?: number;
  /** MD5 of what a storage holds; undefined where nothing is. */
  readonly stored: (turl: string) => string | undefined;
}

const BOOKED_MS = 86_400_000;

export interface FileCatalogue {
  readonly envelopes: Envelopes;
  read(lfn: string): readonly Access[];
  write(wanted: {
    readonly lfn: string;
    readonly size: string;
    readonly md5: string;
    readonly job: string;
    readonly specs: readonly string[];
  }): readonly Access[];
  /** Whether it was registered. */
  commit(parts: readonly string[]): boolean;
  add(lfn: string, file: Omit<CatalogueFile, 'lfn'>): void;
  file(lfn: string): CatalogueFile | undefined;
  files(): readonly CatalogueFile[];
  bookings(): readonly Booking[];
  remove(lfn: string): boolean;
}

export function createFileCatalogue(options: FileCatalogueOptions): FileCatalogue {
  const { clock, storages, quota = Number.MAX_SAFE_INTEGER, stored } = options;
  const envelopes = createEnvelopes();
  const files = new Map<string, CatalogueFile>();
  let bookings: Booking[] = [];

  const sweep = (): void => {
    bookings = bookings.filter(({ expiresMs }) => expiresMs > clock.monotonicMs());
  };
  const seal = (ticket: Ticket, count: number): Access => ({
    ...ticket,
    envelope: envelopes.seal(ticket),
    nSEs: String(count),
  });
  const chosen = (specs: readonly string[]): readonly string[] => {
    const excluded = specs.filter((spec) => spec.startsWith('!')).map((spec) => spec.slice(1));
    const named = specs.filter((spec) => spec.includes('::') && !spec.startsWith('!'));
    const counts = specs.flatMap((spec) => /^\w+[:=]([0-9]+)$/.exec(spec)?.[1] ?? []);
    const count = counts.reduce((sum, one) => sum + Number(one), 0);
    const free = Object.keys(storages).filter((se) => !excluded.includes(se) && !named.includes(se));
    const wanted = [...named.filter((se) => Object.hasOwn(storages, se)), ...free.slice(0, count)];
    if (wanted.length === 0) throw new Refusal(22, `no SE for ${specs.join(',')}`);
    return wanted;
  };

  return {
    envelopes,
    read(lfn) {
      const file = files.get(lfn);
      if (file === undefined) throw new Refusal(2, `No such file or directory: ${lfn}`);
      return file.pfns.map(({ se, pfn }) =>
        seal(
          { turl: pfn, access: 'read', lfn, guid: file.guid, se, size: file.size, md5: file.md5 },
          file.pfns.length,
        ),
      );
    },
    write({ lfn, size, md5, job, specs }) {
      sweep();
      const known = files.get(lfn);
      if (known !== undefined && (known.size !== size || known.md5 !== md5))
        throw new Refusal(17, `${lfn} exists with another size or md5`);
      const used = [...files.values()].reduce((sum, file) => sum + Number(file.size), 0);
      if (used + Number(size) > quota) throw new Refusal(122, 'Quota exceeded');
      const guid = known?.guid ?? randomUUID();
      const ses = chosen(specs);
      return ses.map((se) => {
        const turl = `${storages[se] ?? ''}/07/12345/${randomUUID()}`;
        const ticket: Ticket = { turl, access: 'write-once', lfn, guid, se, size, md5 };
        bookings.push({ ...ticket, job, expiresMs: clock.monotonicMs() + BOOKED_MS, isRejected: false });
        return seal(ticket, ses.length);
      });
    },
    commit([envelope = '', size = '', lfn = '', , , pfn = '', se = '', guid = '', md5 = '']) {
      sweep();
      const ticket = envelopes.open(envelope);
      const booking = bookings.find(
        (row) => !row.isRejected && row.turl === pfn && row.lfn === lfn && row.se === se,
      );
      if (ticket === undefined || booking === undefined || ticket.turl !== booking.turl) return false;
      const isRight =
        booking.size === size && booking.md5 === md5 && booking.guid === guid && stored(pfn) === md5;
      if (!isRight) {
        booking.isRejected = true;
        return false;
      }
      bookings = bookings.filter((row) => row !== booking);
      const known = files.get(lfn) ?? { lfn, size, md5, guid, pfns: [] };
      known.pfns.push({ se, pfn });
      files.set(lfn, known);
      return true;
    },
    add(lfn, file) {
      files.set(lfn, { lfn, ...file });
    },
    file: (lfn) => files.get(lfn),
    files: () => [...files.values()],
    bookings() {
      sweep();
      return bookings;
    },
    remove: (lfn) => files.delete(lfn),
  };
}
