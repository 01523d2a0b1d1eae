import { describe, expect, it } from 'vitest';
import type { Command } from '../../../broker/core/command.ts';
import { createMemoryLedger } from '../../../broker/ledger/memory.ts';
import { createAgentNews } from '../../../broker/service/agent-news.ts';
import { createManualClock } from '../../doubles/manual-clock.ts';
import { hello } from '../lease-machine/world.ts';

async function setUp(commands: readonly Command[]) {
  const ledger = createMemoryLedger({ clock: createManualClock() });
  await ledger.apply([hello('a'), hello('b'), ...commands]);
  const done: string[] = [];
  const news = createAgentNews({
    ledger,
    agents: {
      dismiss: (agent, code) => void done.push(`${agent} dismissed: ${code}`),
      push: (agent, message) => void done.push(`${agent} told: ${JSON.stringify(message)}`),
      ids: () => ['a', 'b', 'unknown'],
    },
    evict: (agent) => void done.push(`${agent} evicted`),
    isStopped: () => false,
  });
  return { news, done };
}

const RENEW = '{"kind":"notice","command":"renew-now"}';
const DRAIN = '{"kind":"notice","command":"drain"}';

describe('an agent that another broker changed something about', () => {
  it('is sent away and loses its connections where it was revoked', async () => {
    const { news, done } = await setUp([{ kind: 'revoke', agent: 'a', reason: 'stolen' }]);
    await news.changed('a');
    expect(done).toEqual(['a dismissed: REVOKED', 'a evicted']);
  });

  it('hears that it drains, and renews, which tells it of cancelled jobs', async () => {
    const { news, done } = await setUp([{ kind: 'drain', agent: 'a', draining: true }]);
    await news.changed('a');
    await news.changed('b');
    await news.changed('unknown');
    expect(done).toEqual([`a told: ${DRAIN}`, `a told: ${RENEW}`, `b told: ${RENEW}`]);
  });

  it('is found out where the news of it were lost', async () => {
    const { news, done } = await setUp([{ kind: 'revoke', agent: 'b', reason: 'stolen' }]);
    await news.missed();
    expect(done).toEqual(['b dismissed: REVOKED', 'b evicted']);
  });
});
