import type { StartBenchServer } from './bench-server.ts';
import { startBenchRabbit } from './rabbitmq.ts';

/** By the name that operators choose it by. */
export const BENCH_SERVERS: Readonly<Record<string, StartBenchServer>> = { rabbitmq: startBenchRabbit };
