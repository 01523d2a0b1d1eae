import type { Channel, ChannelModel } from 'amqplib';
import { CoPilotError } from '../errors.ts';
import { channelError, connectAmqp, type Credential } from './amqp-connect.ts';
import { AGENT_QUEUE } from './amqp-topology.ts';
import { agentAddress } from './parties.ts';

/** Room for agents on a server, made and taken away with a broker's rights. */
export interface Admission {
  /** Makes sure that the agent has a queue. Rejects with `BUS_CLOSED` while there is no connection. */
  admit(agent: string): Promise<void>;
  /** Removes the agent's queue. */
  dismiss(agent: string): Promise<void>;
}

/** Over a connection that somebody else keeps. One after the other: a connection has few channels. */
export function admissionOver(connection: () => ChannelModel | undefined): Admission {
  let before: Promise<unknown> = Promise.resolve();
  const next = (act: (channel: Channel) => Promise<unknown>): Promise<void> => {
    const done = before.then(() => onOwnChannel(connection(), act));
    before = done.catch(() => undefined); // told to whoever asked for it
    return done;
  };
  return {
    admit: (agent) =>
      next((channel) => channel.assertQueue(agentAddress(agent), { durable: true, arguments: AGENT_QUEUE })),
    dismiss: (agent) => next((channel) => channel.deleteQueue(agentAddress(agent))),
  };
}

/** Over a connection of its own. Rejects as `connectAmqp` does. */
export async function openAdmission(
  url: string,
  credential: Credential,
): Promise<Admission & { close(): Promise<void> }> {
  const model = await connectAmqp(url, credential);
  model.on('error', () => undefined); // whatever is under way rejects with it
  return { ...admissionOver(() => model), close: () => model.close() };
}

/** The server closes the channel it refuses something on. */
async function onOwnChannel(
  model: ChannelModel | undefined,
  act: (channel: Channel) => Promise<unknown>,
): Promise<void> {
  if (model === undefined) throw new CoPilotError('BUS_CLOSED', 'there is no connection to the bus now');
  try {
    const channel = await model.createChannel();
    channel.on('error', () => undefined); // what is done rejects with it
    await act(channel);
    await channel.close();
  } catch (caught) {
    throw channelError(caught);
  }
}
