import type { CredentialFiles } from '../kit/credential-files.ts';
import type { FrameworkParts } from '../kit/framework-adapter.ts';
import { createFrameworkHttp, type FrameworkHttp } from '../kit/framework-http.ts';

/** Lines to storage elements and to where transformations are, opened once for each. */
export interface InputLines {
  /** With the adapter's certificate, which nobody can take from it; never with its token, which anybody could. */
  readonly withCertificate: (origin: string) => Promise<FrameworkHttp>;
  readonly anonymous: (origin: string) => Promise<FrameworkHttp>;
  stop(): void;
}

const FETCH_MS = 120_000;

export function openInputLines(
  { settings, credential, clock }: Pick<FrameworkParts, 'settings' | 'credential' | 'clock'>,
  maxAnswerBytes: number,
): InputLines {
  const open = new Map<string, Promise<FrameworkHttp>>();
  const { caFile } = settings.credential;
  const certificate: CredentialFiles = {
    current: () => ({ ...credential.current(), bearer: () => undefined }),
    stop: () => undefined,
  };
  const lineTo = (origin: string, own: CredentialFiles | undefined): Promise<FrameworkHttp> => {
    const key = `${own === undefined ? 'anonymous' : 'certificate'} ${origin}`;
    const known = open.get(key);
    if (known !== undefined) return known;
    const line = createFrameworkHttp({
      url: origin,
      ...(own !== undefined && { credential: own }),
      ...(caFile !== undefined && { caFile }),
      timeoutMs: FETCH_MS,
      maxAnswerBytes,
      clock,
    });
    open.set(key, line);
    return line;
  };
  return {
    withCertificate: (origin) => lineTo(origin, certificate),
    anonymous: (origin) => lineTo(origin, undefined),
    stop() {
      for (const line of open.values())
        line.then(
          (http) => http.stop(),
          () => undefined, // it was never open
        );
    },
  };
}
