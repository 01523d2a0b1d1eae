import { prosodyFiles } from '../../cli/prosody/server-files.ts';
import { startProsody } from '../servers/prosody.ts';
import { isInstalled } from '../servers/server-process.ts';
import { type LockedXmpp, type LockedXmppOptions, openLockedXmpp, type XmppSetup } from './locked-xmpp.ts';

/** Where it is missing outside CI, what needs it is left out; in CI nothing is. */
export const LACKS_PROSODY = process.env['CI'] !== 'true' && !isInstalled('prosody');

export const PROSODY: XmppSetup = {
  name: 'prosody',
  start: startProsody,
  files: (options) => prosodyFiles({ ...options, asRoot: process.getuid?.() === 0 }),
};

export function openLockedProsody(options: LockedXmppOptions = {}): Promise<LockedXmpp> {
  return openLockedXmpp(PROSODY, options);
}
