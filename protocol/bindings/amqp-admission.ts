import type { Channel, ChannelModel } from 'amqplib';
import { CoPilotError } from '../errors.ts';
import { channelError, connectAmqp, type Credential } from './amqp-connect.ts';
import { AGENT_QUEUE, agentAddress } from './amqp-topology.ts';

/** Room for agents on a server, made and taken away with a broker's rights. */
export interface Admission {
  /** Makes sure that the agent has a queue. Rejects with `BUS_CLOSED` while there is no connection. */
  admit(agent: string): Promise<void>;
  /** Removes the agent's queue. */
  dismiss(agent: string): Promise<void>;
}

/** Over a connection that somebody else keeps. */
export function admissionOver(connection: () => ChannelModel | undefined): Admission {
  return {
    admit: (agent) =>
      onOwnChannel(connection(), (channel) =>
        channel.assertQueue(agentAddress(agent), { durable: true, arguments: AGENT_QUEUE }),
      ),
    dismiss: (agent) => onOwnChannel(connection(), (channel) => channel.deleteQueue(agentAddress(agent))),
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
