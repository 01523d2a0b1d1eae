import { EJABBERD } from '../../doubles/locked-ejabberd.ts';
import { PROSODY } from '../../doubles/locked-prosody.ts';
import type { StartBenchServer } from './bench-server.ts';
import { startBenchRabbit } from './rabbitmq.ts';
import { startBenchXmpp } from './xmpp.ts';

/** By the name that operators choose it by. */
export const BENCH_SERVERS: Readonly<Record<string, StartBenchServer>> = {
  rabbitmq: startBenchRabbit,
  prosody: (options) => startBenchXmpp(PROSODY, options),
  ejabberd: (options) => startBenchXmpp(EJABBERD, options),
};
