/** Makes an installation in the directory it is given, and says so. */
import { openInstallation } from '../../cli/installation.ts';

const [directory = ''] = process.argv.slice(2);

process.on('message', () => process.disconnect());
process.send?.((await openInstallation({ directory })).configurations);
