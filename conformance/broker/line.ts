import { BROKER_ADDRESS, type Bus } from '../../protocol/bindings/bus.ts';
import { createWebSocketClient } from '../../protocol/bindings/websocket-client.ts';
import { decodeHeader, type Header } from '../../protocol/session/header.ts';
import type { Runtime } from '../../protocol/runtime/runtime.ts';
import { Mailbox } from '../peer/mailbox.ts';

/** A connection to the broker's bus; every frame of the broker waits here until it is taken. */
export interface Line {
  readonly frames: Mailbox<Header>;
  /** Frames it says are its own do not wait. */
  attach(take: (header: Header) => boolean): void;
  /** Frames that are none by H-1. */
  readonly malformed: readonly Uint8Array[];
  /** How often the broker ended it. */
  readonly losses: number;
  /** Any bytes up to the bound of a frame. */
  send(frame: Uint8Array): void;
  close(): Promise<void>;
}

export async function openLine(runtime: Runtime, url: string): Promise<Line> {
  const bus: Bus = createWebSocketClient({ url, ...runtime });
  const frames = new Mailbox<Header>();
  const malformed: Uint8Array[] = [];
  const takers: ((header: Header) => boolean)[] = [];
  let losses = 0;
  bus.onFrame((_from, frame) => {
    const header = decodeHeader(new Uint8Array(frame));
    if (header === undefined) malformed.push(frame);
    else if (!takers.some((take) => take(header))) frames.push(header);
  });
  bus.onConnection((state) => {
    if (state === 'down') losses += 1;
  });
  await bus.start();
  return {
    frames,
    attach: (take) => void takers.push(take),
    malformed,
    get losses() {
      return losses;
    },
    // What the bus does not take is seen as what the broker never answers.
    send: (frame) => void bus.send(BROKER_ADDRESS, frame).catch(() => undefined),
    close: () => bus.stop(),
  };
}
