import { EJABBERD } from '../../doubles/locked-ejabberd.ts';
import { PROSODY } from '../../doubles/locked-prosody.ts';
import type { StartBenchServer } from './bench-server.ts';
import { beside } from './beside.ts';
import { startBenchRabbit } from './rabbitmq.ts';
import { startBenchXmpp } from './xmpp.ts';

/** By the name that operators choose it by; `beside` where broker and adapters speak by the embedded bus. */
export const BENCH_SERVERS: Readonly<Record<string, StartBenchServer>> = {
  rabbitmq: startBenchRabbit,
  prosody: (options) => startBenchXmpp(PROSODY, options),
  ejabberd: (options) => startBenchXmpp(EJABBERD, options),
  'prosody-beside': beside((options) => startBenchXmpp(PROSODY, options)),
};
