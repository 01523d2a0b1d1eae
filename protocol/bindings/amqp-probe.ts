import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { toCoPilotError } from '../errors.ts';
import { channelError, connectAmqp, type Credential } from './amqp-connect.ts';
import {
  AGENT_EXCHANGE,
  agentKey,
  EVENT_EXCHANGE,
  MAX_MESSAGE_BYTES,
  TRUSTED_EXCHANGE,
  trustedKey,
  VIRTUAL_HOST,
} from './amqp-topology.ts';
import { agentAddress, instanceAddress } from './parties.ts';
import { BROKER_ADDRESS } from './bus.ts';
import type { ProbeResult } from './lock-down.ts';

export interface ProbeOptions {
  readonly url: string;
  /**
   * Two agents that have queues and do nothing else. The first one tries. Where the bus holds, nothing is done to anybody but these
   * two; where it leaks, the brokers' queue may lose what waits in it, which its senders repeat.
   */
  readonly agents: readonly [Credential, Credential];
}

interface Attempt {
  readonly name: string;
  readonly run: (channel: ConfirmChannel) => Promise<unknown>;
}

const FRAME = Buffer.from('probe');

/** Tries as an agent what a bus must refuse. Rejects with `UNREACHABLE` or `NOT_AUTHORIZED` where the first agent cannot log in. */
export async function probeAmqp({
  url,
  agents: [own, other],
}: ProbeOptions): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  const model = await connectAmqp(url, own);
  model.on('error', () => undefined); // what the server refuses is the result
  try {
    for (const attempt of allowed(own.user)) results.push(await mustPass(model, attempt));
    for (const attempt of forbidden(own.user, other.user)) results.push(await mustFail(model, attempt));
  } finally {
    await model.close().catch(() => undefined); // refusals may have closed it
  }
  for (const login of logins(own, other)) results.push(await mustNotOpen(url, login));
  return results;
}

/**
 * Tries as an adapter, which holds no agent's identity, what its own password must not open. Rejects as `probeAmqp` does.
 */
export async function probeAsService(url: string, own: Credential): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  const model = await connectAmqp(url, own);
  model.on('error', () => undefined); // what the server refuses is the result
  try {
    for (const attempt of FORBIDDEN_TO_SERVICES) results.push(await mustFail(model, attempt));
  } finally {
    await model.close().catch(() => undefined); // refusals may have closed it
  }
  for (const login of STRANGERS) results.push(await mustNotOpen(url, login));
  return results;
}

const FORBIDDEN_TO_SERVICES: readonly Attempt[] = [
  { name: "read the brokers' queue", run: (channel) => channel.get(BROKER_ADDRESS) },
  {
    name: 'speak in the name of another adapter',
    run: (channel) =>
      publish(channel, TRUSTED_EXCHANGE, trustedKey(instanceAddress('probe'), 'service.probe')),
  },
  { name: 'publish to where agents do', run: (channel) => publish(channel, AGENT_EXCHANGE, 'probe') },
  { name: 'publish straight to a queue', run: (channel) => publish(channel, '', 'agent.probe') },
  {
    name: 'declare an exchange',
    run: (channel) => channel.assertExchange('copilot.probe', 'fanout', { autoDelete: true }),
  },
];

/** Without these the refusals would say nothing. */
function allowed(own: string): readonly Attempt[] {
  return [
    {
      name: 'publish to the broker in its own name',
      run: (channel) => publish(channel, AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, own)),
    },
    { name: 'read its own queue', run: (channel) => channel.get(agentAddress(own), { noAck: true }) },
  ];
}

function forbidden(own: string, other: string): readonly Attempt[] {
  const queue = agentAddress(other);
  const to = (exchange: string, key: string) => (channel: ConfirmChannel) => publish(channel, exchange, key);
  return [
    { name: "read another agent's queue", run: (channel) => channel.get(queue, { noAck: true }) },
    {
      name: "listen to another agent's queue",
      run: (channel) => channel.consume(queue, () => undefined, { noAck: true }),
    },
    { name: "purge another agent's queue", run: (channel) => channel.purgeQueue(queue) },
    { name: "delete another agent's queue", run: (channel) => channel.deleteQueue(queue) },
    { name: "bind another agent's queue", run: (channel) => channel.bindQueue(queue, AGENT_EXCHANGE, '#') },
    {
      name: 'bind its own queue',
      run: (channel) => channel.bindQueue(agentAddress(own), AGENT_EXCHANGE, '#'),
    },
    {
      name: 'listen to the server’s events',
      run: (channel) => channel.bindQueue(agentAddress(own), EVENT_EXCHANGE, '#'),
    },
    { name: 'delete its own queue', run: (channel) => channel.deleteQueue(agentAddress(own)) },
    { name: "read the brokers' queue", run: (channel) => channel.get(BROKER_ADDRESS, { noAck: true }) },
    { name: "purge the brokers' queue", run: (channel) => channel.purgeQueue(BROKER_ADDRESS) },
    { name: 'declare a queue', run: (channel) => channel.assertQueue('', { exclusive: true }) },
    {
      name: 'declare an exchange',
      run: (channel) => channel.assertExchange('copilot.probe', 'fanout', { autoDelete: true }),
    },
    { name: 'delete an exchange', run: (channel) => channel.deleteExchange('copilot.probe') },
    {
      name: 'publish in the name of another agent',
      run: to(AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, other)),
    },
    { name: 'publish under a key that names nobody', run: to(AGENT_EXCHANGE, 'probe') },
    { name: 'publish straight to another agent', run: to('', queue) },
    {
      name: 'publish among brokers and adapters',
      run: to(TRUSTED_EXCHANGE, trustedKey(BROKER_ADDRESS, 'service.probe')),
    },
    { name: 'publish to an exchange of the server', run: to('amq.topic', 'probe') },
    {
      name: 'publish under the user name of another',
      run: (channel) =>
        publish(channel, AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, own), FRAME, { userId: other }),
    },
    {
      name: 'publish a message that is too large',
      run: (channel) =>
        publish(channel, AGENT_EXCHANGE, agentKey(BROKER_ADDRESS, own), Buffer.alloc(MAX_MESSAGE_BYTES + 1)),
    },
  ];
}

interface Login {
  readonly name: string;
  readonly credential: Credential;
  readonly virtualHost: string;
}

/** Logins that nobody may have, whoever tries. */
const STRANGERS: readonly Login[] = [
  {
    name: 'log in as the user every server comes with',
    credential: { user: 'guest', password: 'guest' },
    virtualHost: VIRTUAL_HOST,
  },
  {
    name: 'log in as a broker without a password',
    credential: { user: BROKER_ADDRESS, password: '' },
    virtualHost: VIRTUAL_HOST,
  },
];

function logins(own: Credential, other: Credential): readonly Login[] {
  const virtualHost = VIRTUAL_HOST;
  return [
    {
      name: 'log in with the password of another',
      credential: { user: other.user, password: own.password },
      virtualHost,
    },
    { name: 'log in without a password', credential: { user: own.user, password: '' }, virtualHost },
    { name: 'enter another virtual host', credential: own, virtualHost: '%2F' },
    ...STRANGERS,
  ];
}

async function publish(
  channel: ConfirmChannel,
  exchange: string,
  key: string,
  content: Buffer = FRAME,
  options: { readonly userId?: string } = {},
): Promise<void> {
  channel.publish(exchange, key, content, { ...options, persistent: false });
  await channel.waitForConfirms();
}

async function mustPass(model: ChannelModel, attempt: Attempt): Promise<ProbeResult> {
  const refused = await refusalOf(model, attempt);
  return refused === undefined
    ? { attempt: attempt.name, outcome: 'as it should be', detail: 'allowed' }
    : { attempt: attempt.name, outcome: 'broken', detail: refused };
}

async function mustFail(model: ChannelModel, attempt: Attempt): Promise<ProbeResult> {
  const refused = await refusalOf(model, attempt);
  return refused === undefined
    ? { attempt: attempt.name, outcome: 'leak', detail: 'allowed' }
    : { attempt: attempt.name, outcome: 'as it should be', detail: refused };
}

/** Each on a channel of its own: the server closes the one it refuses something on. */
async function refusalOf(model: ChannelModel, { run }: Attempt): Promise<string | undefined> {
  let reason: string | undefined;
  try {
    const channel = await model.createConfirmChannel();
    channel.on('error', (error) => {
      reason = channelError(error).message;
    });
    await run(channel);
    await channel.close();
    return undefined;
  } catch (caught) {
    return reason ?? toCoPilotError(caught).message;
  }
}

async function mustNotOpen(url: string, { name, credential, virtualHost }: Login): Promise<ProbeResult> {
  const target = new URL(url);
  target.pathname = `/${virtualHost}`;
  try {
    const model = await connectAmqp(target.href, credential);
    model.on('error', () => undefined); // it is not used
    await model.close();
    return { attempt: name, outcome: 'leak', detail: 'allowed' };
  } catch (caught) {
    return { attempt: name, outcome: 'as it should be', detail: toCoPilotError(caught).message };
  }
}
