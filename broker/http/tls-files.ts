import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { CoPilotError, toCoPilotError } from '../../protocol/errors.ts';
import type { Cancel, Runtime } from '../../protocol/runtime/runtime.ts';

/** Where a server's certificate (with those between it and its authority) and its key lie, as PEM. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export interface TlsPair {
  readonly cert: string;
  readonly key: string;
}

const OF_OTHERS = 0o077;
/** Certificates are renewed by programs beside us. */
export const LOOK_AGAIN_MS = 60_000;

/** Throws `INVALID_CONFIGURATION` where a file cannot be read, others may read the key, or the two do not belong together. */
export async function readTlsFiles({ certificate, key }: TlsFiles): Promise<TlsPair> {
  try {
    if (((await stat(key)).mode & OF_OTHERS) !== 0)
      throw new Error(`${key} may be read by others: run chmod 600 on it, and consider the key known`);
    const pair = { cert: await readFile(certificate, 'utf8'), key: await readFile(key, 'utf8') };
    createSecureContext(pair);
    return pair;
  } catch (cause) {
    throw new CoPilotError('INVALID_CONFIGURATION', `enrolment.tls: ${toCoPilotError(cause).message}`, {
      cause,
    });
  }
}

/** Takes what the files hold whenever that is another pair; one that is no good is told, and the last one stays. */
export function watchTlsFiles(
  files: TlsFiles,
  first: TlsPair,
  { clock, log }: Pick<Runtime, 'clock' | 'log'>,
  take: (pair: TlsPair) => void,
): { stop(): void } {
  let last = first;
  let isStopped = false;
  let cancel: Cancel = () => undefined;
  const look = async (): Promise<void> => {
    try {
      const pair = await readTlsFiles(files);
      if (pair.cert !== last.cert || pair.key !== last.key) take(pair);
      last = pair;
    } catch (caught) {
      log.error({ err: caught }, 'the new certificate of the enrolment is no good; the last one is shown');
    }
    later();
  };
  const later = (): void => {
    if (!isStopped) cancel = clock.schedule(LOOK_AGAIN_MS, () => void look());
  };
  later();
  return {
    stop() {
      isStopped = true;
      cancel();
    },
  };
}
