import { afterAll, expect, it } from 'vitest';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdapterQuestions } from '../bench/adapters-peer.ts';
import type { AgentQuestions } from '../bench/agents-peer.ts';
import type { BrokerQuestions } from '../bench/broker-peer.ts';
import { startPeer } from '../bench/peer.ts';
import { createStage } from '../bench/stage.ts';
import { removeDirectory, temporaryDirectory } from '../doubles/temporary-directory.ts';
import { BROKER_FLAGS } from '../../broker/node-flags.ts';

/** A million; fewer for a look at whether it works. */
const MESSAGES = Number(process.env.MEMORY_MESSAGES ?? 1_000_000);
const AGENTS = 100;
/** A cycle is two messages of an agent and the broker: a report with the next request, and its answer with the next job. */
const MESSAGES_A_CYCLE = 2;
const MOST_GROWTH = 1.05;
const SLICE_SECONDS = 10;

const peers: { stop(): Promise<void> }[] = [];
let directory: string;

afterAll(async () => {
  for (const peer of peers) await peer.stop();
  await removeDirectory(directory);
});

it('the broker holds no more memory after two million messages than after one', async () => {
  directory = await temporaryDirectory('memory');
  const stage = createStage();
  const agents = startPeer<AgentQuestions>('agents-peer.ts');
  const broker = startPeer<BrokerQuestions>('broker-peer.ts', [...BROKER_FLAGS, '--expose-gc']);
  const adapters = startPeer<AdapterQuestions>('adapters-peer.ts');
  peers.push(agents, adapters, broker);
  await mkdir(join(directory, 'broker'), { mode: 0o700 });
  const { busUrl } = await broker.ask('start', {
    directory: join(directory, 'broker'),
    stage,
    prefetch: 512,
  });
  await adapters.ask('connect', { busUrl, stage });
  await agents.ask('connect', { name: 'crew', url: busUrl, stage, count: AGENTS });

  let messages = 0;
  const until = async (wanted: number): Promise<{ heap: number; resident: number }> => {
    while (messages < wanted) {
      const { done } = await agents.ask('run', {
        name: 'crew',
        count: AGENTS,
        seconds: SLICE_SECONDS,
        asksAhead: true,
      });
      messages += done * MESSAGES_A_CYCLE;
    }
    return broker.ask('memory', null);
  };
  const one = await until(MESSAGES);
  const two = await until(2 * MESSAGES);
  console.log(
    JSON.stringify({ messages, one, two, heap: two.heap / one.heap, resident: two.resident / one.resident }),
  );
  expect(two.heap / one.heap).toBeLessThanOrEqual(MOST_GROWTH);
  expect(two.resident / one.resident).toBeLessThanOrEqual(MOST_GROWTH);
});
