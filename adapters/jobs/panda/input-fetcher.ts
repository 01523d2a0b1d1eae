import { createHash } from 'node:crypto';
import { adler32, adler32Hex } from '../../../protocol/adler32.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock } from '../../../protocol/runtime/runtime.ts';
import type { FrameworkHttp } from '../kit/framework-http.ts';
import type { InputStore, StoredInput } from '../kit/input-store.ts';
import { keptInputs } from '../kit/kept-inputs.ts';
import type { InputLines } from './input-lines.ts';
import type { Source, WantedInput } from './job-description.ts';
import { PAYLOAD_WRAPPER } from './payload-wrapper.ts';
import { PILOT_ERRORS, type PilotError } from './pilot-errors.ts';

/** A file that a job needs cannot be had, now or ever: the job fails with the error. */
export class InputUnavailable extends Error {
  readonly error: PilotError;
  constructor(error: PilotError, why: string, options?: ErrorOptions) {
    super(why, options);
    this.error = error;
  }
}

/** Brings what jobs need into the Data Bridge. */
export interface InputFetcher {
  /** Rejects with `InputUnavailable`, or `UNREACHABLE` where the Data Bridge is: that is tried again. */
  fetch(wanted: WantedInput): Promise<StoredInput>;
}

export interface InputFetcherOptions {
  readonly store: InputStore;
  readonly clock: Clock;
  /** Storage elements see the adapter's certificate; where transformations come from is nobody's to see it. */
  readonly lines: InputLines;
  readonly maxBytes: number;
}

const MAX_TRANSFORMATION_BYTES = 16 * 1024 * 1024;
/** For so long the jobs of one task share what was fetched. */
const KEPT_MS = 60_000;

export function createInputFetcher(options: InputFetcherOptions): InputFetcher {
  const { store, clock } = options;
  const once = keptInputs({ clock, keptMs: KEPT_MS });

  const bytesAt = async (
    address: string,
    open: (origin: string) => Promise<FrameworkHttp>,
    error: PilotError,
  ): Promise<Uint8Array> => {
    const url = new URL(address);
    try {
      const http = await open(url.origin);
      const { status, body } = await http.send({ method: 'GET', path: url.pathname });
      if (status === 200) return body;
      throw new InputUnavailable(error, `${address} answers ${status}`);
    } catch (caught) {
      if (caught instanceof InputUnavailable) throw caught;
      throw new InputUnavailable(error, `${address} cannot be fetched`, { cause: caught });
    }
  };

  const transformation = async (url: string): Promise<StoredInput> => {
    const error = PILOT_ERRORS.transformationFailed;
    const bytes = await bytesAt(url, options.lines.anonymous, error);
    if (bytes.length > MAX_TRANSFORMATION_BYTES)
      throw new InputUnavailable(error, `${url} is over ${MAX_TRANSFORMATION_BYTES} bytes`);
    return store.put({ kind: 'bytes', bytes });
  };
  const replica = async ({ url, size, sum }: Extract<Source, { kind: 'replica' }>): Promise<StoredInput> => {
    const bytes = await bytesAt(url, options.lines.withCertificate, PILOT_ERRORS.stageInFailed);
    if (bytes.length > options.maxBytes)
      throw new InputUnavailable(PILOT_ERRORS.stageInFailed, `${url} is over ${options.maxBytes} bytes`);
    const found =
      sum.algorithm === 'adler32'
        ? adler32Hex(adler32(bytes))
        : createHash('md5').update(bytes).digest('hex');
    if (found !== sum.hex || (size !== undefined && size !== bytes.length))
      throw new InputUnavailable(PILOT_ERRORS.inputChecksum, `${url} is not the file that PanDA describes`);
    return store.put({ kind: 'bytes', bytes });
  };

  return {
    fetch({ source }) {
      switch (source.kind) {
        case 'wrapper':
          return once('wrapper', () => store.put({ kind: 'bytes', bytes: Buffer.from(PAYLOAD_WRAPPER) }));
        case 'transformation':
          return once(source.url, () => transformation(source.url));
        case 'replica':
          return once(`${source.url} ${source.sum.hex}`, () => replica(source));
      }
    },
  };
}

/** A store for where the adapter is told of no Data Bridge. */
export const noStore: InputStore = {
  put: () =>
    Promise.reject(
      new CoPilotError('INVALID_CONFIGURATION', 'a PanDA adapter puts inputs into the Data Bridge'),
    ),
};
