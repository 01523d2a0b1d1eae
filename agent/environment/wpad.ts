import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { CoPilotError } from '../../protocol/errors.ts';
import { readBounded } from '../../protocol/runtime/bounded-body.ts';
import type { Clock, Log } from '../../protocol/runtime/runtime.ts';
import { proxyUrl } from './environment-file.ts';
import type { Jail } from './jail.ts';
import type { Offer } from './web-proxies.ts';

export interface WpadOptions {
  /** Of the proxy auto-configuration file. */
  readonly url: string;
  /** What is to be fetched through the proxies. */
  readonly target: string;
  readonly jail: Jail;
  /** The strongest network bound the jail can hold. */
  readonly network: 'host' | 'none';
  readonly clock: Clock;
  readonly log: Log;
}

const MAX_FILE_BYTES = 64 * 1024;
const FETCH_WITHIN_MS = 10_000;
const RUN_SECONDS = 10;
const KEPT_MS = 30 * 60_000;
const MAX_PROXIES = 32;
const PROGRAM = readFileSync(new URL('find-proxy.cjs', import.meta.url), 'utf8');

/**
 * Finds web proxies by the file at a URL, looked at again after half an hour. The file is a program: it runs in a jail, as a job does. Where
 * it is away, what it said last stands; rejects where it never said anything.
 */
export function createWpad(options: WpadOptions): () => Promise<Offer> {
  let known: { readonly offer: Offer; readonly untilMs: number } | undefined;
  let asking: Promise<Offer> | undefined;
  const look = async (): Promise<Offer> => {
    try {
      const offer = offerIn(await run(options, await fetchFile(options.url)));
      known = { offer, untilMs: options.clock.monotonicMs() + KEPT_MS };
    } catch (error) {
      if (known === undefined) throw error;
      options.log.warn({ error }, 'the list of web proxies could not be looked at again; the last stands');
    } finally {
      asking = undefined;
    }
    return known.offer;
  };
  return () => {
    if (known !== undefined && options.clock.monotonicMs() < known.untilMs)
      return Promise.resolve(known.offer);
    asking ??= look();
    return asking;
  };
}

async function fetchFile(url: string): Promise<Uint8Array> {
  const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(FETCH_WITHIN_MS) });
  if (!response.ok) throw new CoPilotError('UNREACHABLE', `${url} answered ${response.status}`);
  const bytes = await readBounded(response, MAX_FILE_BYTES);
  if (bytes === undefined) throw new CoPilotError('UNREACHABLE', `${url} is over ${MAX_FILE_BYTES} bytes`);
  return bytes;
}

async function run({ jail, network, target, url }: WpadOptions, file: Uint8Array): Promise<string> {
  const { exit, said } = await jail.run(
    {
      command: 'node',
      arguments: ['-e', PROGRAM, target, ownAddress()],
      files: { 'wpad.dat': file },
      wallSeconds: RUN_SECONDS,
      network,
      extras: { variables: {}, readOnly: [], wrap: [] },
    },
    new AbortController().signal,
  );
  if (exit.kind === 'exited' && exit.code === 0) return said;
  throw new CoPilotError('INVALID_CONFIGURATION', `${url} could not be run: ${said.slice(-200)}`);
}

/** `PROXY host:port; PROXY http://host:port; DIRECT`, as such files answer. What else they name is left out. */
export function offerIn(answer: string): Offer {
  const words = answer.split(';').map((entry) => entry.trim().split(/\s+/));
  const proxies = words.flatMap(([kind = '', place = '']) => {
    const proxy = /^(?:PROXY|HTTP)$/i.test(kind) ? proxyUrl(place) : undefined;
    return proxy === undefined ? [] : [proxy];
  });
  return {
    proxies: [...new Set(proxies)].slice(0, MAX_PROXIES),
    direct: words.some(([kind = '']) => /^DIRECT$/i.test(kind)),
  };
}

/** By which a list may tell where a machine stands. */
function ownAddress(): string {
  const addresses = Object.values(networkInterfaces()).flatMap((entries) => entries ?? []);
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1';
}
