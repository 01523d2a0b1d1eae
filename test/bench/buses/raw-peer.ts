/** Raw request and reply over a bus server: one process of this serves, another is its clients. */
import type { LoadResult } from '../load-result.ts';
import { closedLoop } from '../peers/closed-loop.ts';
import { cpuMicroseconds, servePeer } from '../serve-peer.ts';
import { connectRawAmqp, serveRawAmqp } from './raw-amqp.ts';
import type { RawClient, RawTransport } from './raw-transport.ts';
import { connectRawXmpp, serveRawXmpp } from './raw-xmpp.ts';

export interface RawQuestions {
  serve(transport: RawTransport): Promise<void>;
  connect(to: { readonly transport: RawTransport; readonly count: number }): Promise<void>;
  /** Lets the first `count` clients send and wait for so long, one frame each at a time. */
  run(order: { readonly count: number; readonly seconds: number }): Promise<LoadResult>;
  cpu(nothing: null): number;
}

const clients: RawClient[] = [];
let stopServing: () => Promise<void> = async () => undefined;

servePeer<RawQuestions>({ serve, connect, run, cpu: cpuMicroseconds }, async () => {
  await Promise.all(clients.map((client) => client.close()));
  await stopServing();
});

async function serve(transport: RawTransport): Promise<void> {
  stopServing = await (transport.kind === 'amqp' ? serveRawAmqp(transport) : serveRawXmpp(transport));
}

async function connect({ transport, count }: Parameters<RawQuestions['connect']>[0]): Promise<void> {
  for (let lane = 0; lane < count; lane += 1)
    clients.push(
      await (transport.kind === 'amqp' ? connectRawAmqp(transport) : connectRawXmpp(transport, lane)),
    );
}

function run({ count, seconds }: Parameters<RawQuestions['run']>[0]): Promise<LoadResult> {
  return closedLoop(
    count,
    seconds,
    (lane) => clients[lane]?.roundTrip() ?? Promise.reject(new Error('no client')),
  );
}
