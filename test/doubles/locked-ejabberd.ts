import { join } from 'node:path';
import { EJABBERD_FOLDERS } from '../../cli/ejabberd/private-server.ts';
import { ejabberdFiles } from '../../cli/ejabberd/server-files.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { isInstalled } from '../servers/server-process.ts';
import { openBusDesk } from './bus-desk.ts';
import { BROKER_SECRET, INSTANCES, type LockedXmpp, lockedXmpp, SERVICE_SECRETS } from './locked-xmpp.ts';
import { removeDirectory, temporaryDirectory } from './temporary-directory.ts';
import { tlsListener } from './tls-listener.ts';

/** Where it is missing outside CI, what needs it is left out; in CI nothing is. */
export const LACKS_EJABBERD = process.env['CI'] !== 'true' && !isInstalled('ejabberdctl', EJABBERD_FOLDERS);

export interface LockedEjabberdOptions {
  readonly withTls?: boolean;
  /** Changes files before the server reads them. */
  readonly change?: (files: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
}

const DOMAIN = 'localhost';

/** An ejabberd as `co-pilot bus config ejabberd` sets it up, asking the broker's own code about agents. */
export async function openLockedEjabberd({
  withTls = false,
  change = (files) => files,
}: LockedEjabberdOptions = {}): Promise<LockedXmpp> {
  const directory = await temporaryDirectory('ejabberd');
  const desk = await openBusDesk();
  const folder = join(directory, 'server');
  const server = await startEjabberd(folder, (ports) =>
    change(
      ejabberdFiles({
        directory: folder,
        domain: DOMAIN,
        listen: withTls ? tlsListener(folder, ports) : { kind: 'plain', host: '127.0.0.1', port: ports.bus },
        componentPort: ports.component,
        webSocketPort: ports.webSocket,
        decisionsUrl: desk.url,
        brokerSecret: BROKER_SECRET,
        brokers: INSTANCES,
        serviceSecrets: SERVICE_SECRETS,
      }),
    ),
  ).catch(async (caught: unknown) => {
    await desk.close();
    throw caught;
  });
  const { ports } = server;
  return lockedXmpp({
    desk,
    url: `xmpp://${withTls ? 'localhost' : '127.0.0.1'}:${ports.bus}`,
    ...(withTls && { directUrl: `xmpps://localhost:${ports.direct}` }),
    webSocketUrl: `ws://127.0.0.1:${ports.webSocket}/xmpp-websocket`,
    componentUrl: `xmpp://127.0.0.1:${ports.component}/${DOMAIN}`,
    kill: () => server.kill(),
    start: () => server.start(),
    async stop() {
      await server.stop();
      await desk.close();
      await removeDirectory(directory);
    },
  });
}
