import type { Installation } from '../installation.ts';
import { xmppServerFor } from '../xmpp-server.ts';
import { prosodyFiles } from './server-files.ts';

/**
 * What a Prosody server for this installation runs with, its files in `directory`. Throws `INVALID_CONFIGURATION` where the
 * installation has another bus.
 */
export function serverFilesFor(
  installation: Installation,
  directory: string,
): Readonly<Record<string, string>> {
  return prosodyFiles({
    ...xmppServerFor(installation, directory, 'prosody'),
    asRoot: process.getuid?.() === 0,
  });
}
