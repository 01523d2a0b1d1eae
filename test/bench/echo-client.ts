import { WebSocket } from 'ws';

/** Frames of about the size of a report. */
const FRAME_BYTES = 600;

/** A client of the bare echo server, with one frame under way at a time. */
export interface EchoConnection {
  /** Rejects where the server is gone. */
  roundTrip(): Promise<void>;
  close(): void;
}

export function connectEcho(url: string): Promise<EchoConnection> {
  return new Promise((opened, failed) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    const frame = new Uint8Array(FRAME_BYTES);
    let heard = (): void => undefined;
    let lost: (error: Error) => void = () => undefined;
    socket.once('open', () =>
      opened({
        roundTrip: () =>
          new Promise((resolve, reject) => {
            heard = resolve;
            lost = reject;
            socket.send(frame, { binary: true });
          }),
        close: () => socket.close(),
      }),
    );
    socket.on('message', () => heard());
    socket.on('close', () => lost(new Error('the echo server closed the connection')));
    socket.on('error', failed);
  });
}

/** Milliseconds of every round trip that so many clients make in that time. */
export async function runEcho(url: string, connections: number, seconds: number): Promise<readonly number[]> {
  const clients = await Promise.all(Array.from({ length: connections }, () => connectEcho(url)));
  const latenciesMs: number[] = [];
  const untilMs = performance.now() + seconds * 1000;
  await Promise.all(clients.map((client) => bounce(client, untilMs, latenciesMs)));
  for (const client of clients) client.close();
  return latenciesMs;
}

async function bounce(client: EchoConnection, untilMs: number, latenciesMs: number[]): Promise<void> {
  for (let startMs = performance.now(); startMs < untilMs; ) {
    await client.roundTrip();
    const nowMs = performance.now();
    latenciesMs.push(nowMs - startMs);
    startMs = nowMs;
  }
}
