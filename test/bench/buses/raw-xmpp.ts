import { client, type Element, type Entity, xml } from '@xmpp/client';
import { component } from '@xmpp/component';
import { Socket } from 'node:net';
import type { AgentLogin } from '../../doubles/bus-desk.ts';
import { RAW_FRAME, type RawClient, type RawXmppTransport } from './raw-transport.ts';

/** The guard lets nothing else through. */
const FRAME = xml('frame', { xmlns: 'urn:co-pilot:frame:1' }, RAW_FRAME.toString('base64'));
const OPEN_WITHIN_MS = 10_000;

/** Sends every frame back, as a component, for which the server keeps nothing that is on its way. */
export async function serveRawXmpp({
  componentService,
  component: name,
  secret,
}: RawXmppTransport): Promise<() => Promise<void>> {
  const entity = component({ service: componentService, domain: name, password: secret });
  entity.on('stanza', (heard) => {
    const { attrs } = heard as Element;
    void entity.send(xml('message', { to: attrs['from'] }, FRAME));
  });
  return connect(entity, componentService, name);
}

/** A client with the library's own resumption of streams (XEP-0198), as agents have. */
export async function connectRawXmpp(transport: RawXmppTransport, lane: number): Promise<RawClient> {
  const { service, domain, component: name, logins } = transport;
  const entity = userOf(transport, logins[lane]);
  let heard = (): void => undefined;
  entity.on('stanza', (stanza) => {
    if ((stanza as Element).is('message')) heard();
  });
  const close = await connect(entity, service, domain);
  return {
    async roundTrip() {
      const answer = new Promise<void>((resolve) => {
        heard = resolve;
      });
      await entity.send(xml('message', { to: name }, FRAME));
      await answer;
    },
    close,
  };
}

function userOf({ service, domain }: RawXmppTransport, login: AgentLogin | undefined): Entity {
  const { user, password } = login ?? { user: '', password: '' };
  return client({
    service,
    domain,
    username: user,
    resource: 'co-pilot',
    timeout: OPEN_WITHIN_MS,
    credentials: (authenticate) => authenticate({ username: user, password }, 'PLAIN'),
  });
}

/** Resolves when it is logged in, with what ends it. */
async function connect(entity: Entity, service: string, domain: string): Promise<() => Promise<void>> {
  entity.reconnect.stop();
  const online = Promise.withResolvers<undefined>();
  entity.on('online', () => online.resolve(undefined));
  entity.on('error', online.reject);
  entity.on('connect', () => {
    if (entity.socket instanceof Socket) entity.socket.setNoDelay(true);
  });
  await entity.connect(service);
  await entity.open({ domain });
  await online.promise;
  return async () => {
    await entity.disconnect();
  };
}
