import { expect, it, vi } from 'vitest';
import { createBrokerStage, STAGE } from '../../doubles/broker-stage.ts';
import { createRawAgent } from '../../doubles/raw-agent.ts';

it('a request is given the job that came while the ledger was asked for it, at once and not when its wait is over', async () => {
  const stage = await createBrokerStage({ seed: 1 });
  const agent = await createRawAgent(stage, stage.enrol(), STAGE);
  await agent.hear('welcome');
  const slowly = Promise.withResolvers<undefined>();
  const apply = stage.ledger.apply.bind(stage.ledger);
  const asked = vi.spyOn(stage.ledger, 'apply').mockImplementation(async (commands) => {
    const outcomes = await apply(commands);
    if (commands.some(({ kind }) => kind === 'lease')) await slowly.promise;
    return outcomes;
  });
  agent.say({ kind: 'request', slot: 1, counter: 1, ad: {}, seen: [] });
  await stage.clock.run(1_000);
  expect(asked).toHaveBeenCalled();
  const job = stage.submit();
  await stage.clock.run(2_000);
  expect((await stage.ledger.job(job))?.job.state).toBe('queued');
  slowly.resolve(undefined);
  await stage.clock.run(1_000);
  expect(agent.heard).toContainEqual(expect.objectContaining({ kind: 'job', slot: 1, counter: 1 }));
  await stage.stop();
});
