/** The broker program in a process of its own, which is told over IPC what to run and when to stop. */
import { startBroker, type BrokerProgram } from '../../broker/main.ts';
import { silentLog } from '../doubles/silent-log.ts';
import type { BrokerOrder } from './traced-broker.ts';

let program: BrokerProgram | undefined;

async function obey(order: BrokerOrder): Promise<void> {
  if (order === 'stop') {
    await program?.stop();
    process.disconnect();
    return;
  }
  program = await startBroker({ ...order, log: silentLog });
  const { busUrl, enrolmentUrl } = program;
  process.send?.({ busUrl, enrolmentUrl });
}

process.on('message', (order: BrokerOrder) => void obey(order));
