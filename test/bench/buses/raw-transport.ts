import type { AgentLogin } from '../../doubles/bus-desk.ts';

/** How to reach a bus server without anything of ours in between, as data: it travels to the processes that do. */
export type RawTransport = RawAmqpTransport | RawXmppTransport;

export interface RawAmqpTransport {
  readonly kind: 'amqp';
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

export interface RawXmppTransport {
  readonly kind: 'xmpp';
  /** Where users and components come. */
  readonly service: string;
  readonly componentService: string;
  readonly domain: string;
  /** The component that sends everything back. */
  readonly component: string;
  readonly secret: string;
  /** Its clients. */
  readonly logins: readonly AgentLogin[];
}

/** One frame out, one frame back. */
export interface RawClient {
  roundTrip(): Promise<void>;
  close(): Promise<void>;
}

/** Frames of about the size of a report. */
export const RAW_FRAME = Buffer.alloc(600, 1);
