import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { hex } from '../../protocol/encoding.ts';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import { readBounded } from '../../protocol/runtime/bounded-body.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';
import type { ValidationSettings } from './environment-file.ts';
import type { Jail, SiteProgramEnd } from './jail.ts';
import type { JobExtras } from './job-environment.ts';

/** A site's own checks of its host. */
export interface Validation {
  /** What is wrong with this host; undefined where nothing is. `extras` are those of the job to come. */
  whyUnfit(extras: JobExtras, signal: AbortSignal): Promise<string | undefined>;
}

const MAX_BUNDLE_BYTES = 16 * 1024 * 1024;
const FETCH_WITHIN_MS = 60_000;
const BUNDLE = 'bundle.tar.gz';
const SCRIPT = readFileSync(new URL('validate.sh', import.meta.url), 'utf8');

/** Throws `INVALID_CONFIGURATION` where the bundle cannot be had or has another digest. */
export async function openValidation(
  settings: ValidationSettings,
  jail: Jail,
  crypto: Pick<Crypto, 'sha256'>,
): Promise<Validation> {
  const bundle = await fetchBundle(settings.bundle);
  if (hex(crypto.sha256(bundle)) !== settings.sha256)
    throw new CoPilotError('INVALID_CONFIGURATION', 'the validation bundle has another digest than is named');
  return {
    async whyUnfit(extras, signal) {
      const program = {
        command: 'sh',
        arguments: ['-c', SCRIPT, 'validate.sh', BUNDLE],
        files: { [BUNDLE]: bundle },
        wallSeconds: settings.wallSeconds,
        network: 'host',
        extras,
      } as const;
      try {
        return verdictOf(await jail.run(program, signal));
      } catch (caught) {
        return `the site's validation was not run: ${toCoPilotError(caught).message}`;
      }
    },
  };
}

function verdictOf({ exit, said }: SiteProgramEnd): string | undefined {
  if (exit.kind === 'exited' && exit.code === 0) return undefined;
  const last = said.trimEnd().split('\n').at(-1) ?? '';
  switch (exit.kind) {
    case 'exited':
      return `the site's validation failed: ${last}`;
    case 'limit':
      return `the site's validation went over its limit of ${exit.limit}`;
    case 'signalled':
      return `the site's validation was ended by ${exit.signal}`;
    case 'not-started':
      return `the site's validation did not start: ${exit.reason}`;
  }
}

async function fetchBundle(place: string): Promise<Uint8Array> {
  try {
    const bytes = /^https?:/.test(place) ? await download(place) : await readFile(place);
    if (bytes !== undefined && bytes.length <= MAX_BUNDLE_BYTES) return bytes;
  } catch (cause) {
    const { message } = toCoPilotError(cause);
    throw new CoPilotError('INVALID_CONFIGURATION', `the validation bundle cannot be had: ${message}`, {
      cause,
    });
  }
  throw new CoPilotError('INVALID_CONFIGURATION', `the validation bundle is over ${MAX_BUNDLE_BYTES} bytes`);
}

async function download(url: string): Promise<Uint8Array | undefined> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_WITHIN_MS) });
  if (!response.ok) throw new CoPilotError('UNREACHABLE', `${response.status} ${response.statusText}`);
  return readBounded(response, MAX_BUNDLE_BYTES);
}
