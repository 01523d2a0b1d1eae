import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import { openCredentialFiles } from './credential-files.ts';
import { createFrameworkHttp, type FrameworkAnswer, type FrameworkHttp } from './framework-http.ts';
import type { FrameworkKind, FrameworkSettings } from './framework-kind.ts';
import { reachServer } from './reach-server.ts';

/** What a server said of the time, and when it was asked and heard by our own clock; all in milliseconds since the Unix epoch. */
export interface SaidTime {
  readonly host: string;
  readonly dateMs: number;
  readonly askedMs: number;
  readonly heardMs: number;
}

export interface Inquired {
  /** The framework's own words of us, and whether there were any; a fault where it gave none. */
  readonly answer:
    | { readonly kind: 'said'; readonly words: string }
    | { readonly kind: 'fault'; readonly fault: unknown };
  /** One for each server that sent a `Date`. */
  readonly times: readonly SaidTime[];
}

export interface InquireOptions {
  readonly name: string;
  readonly kind: FrameworkKind;
  readonly settings: FrameworkSettings;
  readonly clock: Clock;
  readonly log: Log;
}

const ANSWER_MS = 10_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Asks a framework who we are, with its adapter's credential, and opens nothing else of the adapter. Never rejects. */
export async function inquire({ name, kind, settings, clock, log }: InquireOptions): Promise<Inquired> {
  const ends: (() => void)[] = [];
  const times = new Map<string, SaidTime>();
  try {
    const credential = await openCredentialFiles(settings.credential, { clock, log });
    ends.push(() => credential.stop());
    const { caFile } = settings.credential;
    const openHttp = async (url: string): Promise<FrameworkHttp> => {
      const address = url.replace(/^ws/, 'http');
      const http = await createFrameworkHttp({
        url: address,
        credential,
        ...(caFile !== undefined && { caFile }),
        timeoutMs: ANSWER_MS,
        maxAnswerBytes: MAX_ANSWER_BYTES,
        clock,
      });
      ends.push(() => http.stop());
      return listening(http, new URL(address).host, { clock, times });
    };
    const http = await openHttp(settings.url);
    const words =
      kind.introduce === undefined
        ? `answers (HTTP ${await reachServer(http)})`
        : await kind.introduce({ name, settings, http, openHttp, credential, clock, log });
    return { answer: { kind: 'said', words }, times: [...times.values()] };
  } catch (fault) {
    return { answer: { kind: 'fault', fault }, times: [...times.values()] };
  } finally {
    for (const end of ends.toReversed()) end();
  }
}

/** Keeps what the last answer said of the time. */
function listening(
  http: FrameworkHttp,
  host: string,
  { clock, times }: { readonly clock: Clock; readonly times: Map<string, SaidTime> },
): FrameworkHttp {
  return {
    async send(request): Promise<FrameworkAnswer> {
      const askedMs = clock.wallMs();
      const answer = await http.send(request);
      const dateMs = Date.parse(String(answer.headers['date'] ?? ''));
      if (!Number.isNaN(dateMs)) times.set(host, { host, dateMs, askedMs, heardMs: clock.wallMs() });
      return answer;
    },
    stop: () => http.stop(),
  };
}
