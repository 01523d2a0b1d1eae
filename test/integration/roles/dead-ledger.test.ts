import { expect, it } from 'vitest';
import { openSqliteLedger } from '../../../broker/ledger/sqlite.ts';
import { startBroker } from '../../../broker/main.ts';
import { controlSocket, openInstallation, roleDirectory } from '../../../cli/installation.ts';
import { silentLog } from '../../doubles/silent-log.ts';
import { removeDirectory, temporaryDirectory } from '../../doubles/temporary-directory.ts';

it('a broker whose ledger died says that nothing can be served any more', async () => {
  const directory = await temporaryDirectory('dead-ledger');
  const { configurations } = await openInstallation({ directory });
  let die: (() => void) | undefined;
  let deaths = 0;
  const broker = await startBroker({
    directory: roleDirectory(directory, 'broker'),
    controlSocket: controlSocket(directory, 'broker'),
    configuration: configurations.broker,
    log: silentLog,
    openLedger(options) {
      die = options.onDeath;
      return openSqliteLedger(options);
    },
    onFatal: () => {
      deaths += 1;
    },
  });
  die?.();
  expect(deaths).toBe(1);
  await broker.stop();
  await removeDirectory(directory);
});
