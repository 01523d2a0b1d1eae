import { EJABBERD_FOLDERS } from '../../cli/ejabberd/private-server.ts';
import { ejabberdFiles } from '../../cli/ejabberd/server-files.ts';
import { startEjabberd } from '../servers/ejabberd.ts';
import { isInstalled } from '../servers/server-process.ts';
import { type LockedXmpp, type LockedXmppOptions, openLockedXmpp, type XmppSetup } from './locked-xmpp.ts';

/** Where it is missing outside CI, what needs it is left out; in CI nothing is. */
export const LACKS_EJABBERD = process.env['CI'] !== 'true' && !isInstalled('ejabberdctl', EJABBERD_FOLDERS);

export const EJABBERD: XmppSetup = { name: 'ejabberd', start: startEjabberd, files: ejabberdFiles };

export function openLockedEjabberd(options: LockedXmppOptions = {}): Promise<LockedXmpp> {
  return openLockedXmpp(EJABBERD, options);
}
