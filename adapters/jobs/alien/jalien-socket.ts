import { WebSocket } from 'ws';
import { CoPilotError } from '../../../protocol/errors.ts';

/** One connection to JAliEn's WebSocket; it has ended once, for good, when `onClose` is told. */
export interface JalienSocket {
  send(text: string): void;
  close(): void;
}

export interface JalienSocketOptions {
  readonly url: string;
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly ca: string | undefined;
  readonly onMessage: (text: string) => void;
  readonly onClose: (why: string) => void;
}

const OPEN_MS = 5000;
const MOST_BYTES = 16 * 1024 * 1024;
/** The server forgets who is silent; its proxies do sooner. */
const PING_MS = 20_000;

/** Rejects with `NOT_AUTHORIZED` where the certificate is not known, `UNREACHABLE` otherwise. */
export async function openJalienSocket(options: JalienSocketOptions): Promise<JalienSocket> {
  const { url, tls, ca, onMessage, onClose } = options;
  const socket = new WebSocket(url, {
    handshakeTimeout: OPEN_MS,
    maxPayload: MOST_BYTES,
    followRedirects: false,
    ...tls,
    ...(ca !== undefined && { ca }),
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('open', () => resolve());
    socket.once('unexpected-response', (request, response) => {
      request.destroy();
      reject(refused(response.statusCode ?? 0));
    });
    socket.once('error', (cause) =>
      reject(new CoPilotError('UNREACHABLE', 'JAliEn cannot be reached', { cause })),
    );
  });
  const ping = setInterval(() => socket.ping(), PING_MS);
  socket.on('message', (data: Buffer, isBinary) => {
    if (isBinary) socket.terminate();
    else onMessage(data.toString('utf8'));
  });
  socket.on('error', () => undefined); // what follows is the end of the connection, which is told
  socket.once('close', (code, reason) => {
    clearInterval(ping);
    onClose(`${code} ${reason.toString('utf8').slice(0, 100)}`);
  });
  return {
    send: (text) => socket.send(text),
    close: () => socket.terminate(),
  };
}

function refused(status: number): CoPilotError {
  return status === 401 || status === 403
    ? new CoPilotError('NOT_AUTHORIZED', `JAliEn does not know the certificate (${status})`)
    : new CoPilotError('UNREACHABLE', `JAliEn answers the upgrade with ${status}`);
}
