/** How to reach a bus server without anything of ours in between, as data: it travels to the processes that do. */
export type RawTransport = {
  readonly kind: 'amqp';
  readonly url: string;
  readonly user: string;
  readonly password: string;
};

/** One frame out, one frame back. */
export interface RawClient {
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

/** Frames of about the size of a report. */
export const RAW_FRAME = Buffer.alloc(600, 1);
