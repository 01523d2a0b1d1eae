import { afterEach, describe, expect, it } from 'vitest';
import { AGENT, openWorld, type World, type WorldOptions } from './panda-world.ts';

const open: (() => Promise<void>)[] = [];
async function world(options?: WorldOptions): Promise<World> {
  const made = await openWorld(options);
  open.push(() => made.close());
  return made;
}
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

describe.each(['v1', 'legacy'] as const)('the event ranges of a job, by the API %s', (api) => {
  const options: WorldOptions = { panda: { dialects: [api] }, options: { api, eventService: true } };

  async function started() {
    const made = await world(options);
    const [id = 0] = made.panda.submit({ events: 4, taskId: 77 });
    const job = await made.accepted();
    const state = job.state ?? '';
    await made.adapter.started(job.job, 1, AGENT, state);
    const parts = (attempt: number, verb: 'take' | 'finish', named: readonly string[] = []) =>
      made.adapter.parts?.(job.job, attempt, verb, named, state) ?? Promise.resolve([]);
    const states = () => made.panda.table.events.of(id).map((range) => range.state);
    return { ...made, id, job, parts, states };
  }

  it('are taken one by one, the same again where an answer was lost, and finished once each', async () => {
    const { parts, states, panda } = await started();
    const [first] = await parts(1, 'take');
    expect(await parts(1, 'take')).toEqual([first]);
    expect(JSON.parse(first?.body ?? '')).toMatchObject({ startEvent: 1, lastEvent: 1, scope: 'user.cp' });
    expect(await parts(1, 'finish', [first?.id ?? ''])).toEqual([]);
    expect(await parts(1, 'finish', [first?.id ?? ''])).toEqual([]);
    expect(states()).toEqual(['finished', 'ready', 'ready', 'ready']);
    const [second] = await parts(1, 'take');
    expect(second?.id).not.toBe(first?.id);
    expect(panda.requests(api === 'v1' ? 'event/update_event_ranges' : 'updateEventRanges')).toBe(2);
  });

  it('of a lost agent are one that is lost, and PanDA gives it again when the job has ended', async () => {
    const { parts, states, adapter, job, panda, id, clock } = await started();
    const [first] = await parts(1, 'take');
    await adapter.released(job.job, 1, 'lost', job.state ?? '');
    const [second] = await parts(2, 'take');
    expect(second?.id).not.toBe(first?.id);
    await parts(2, 'finish', [second?.id ?? '']);
    expect(states()).toEqual(['sent', 'finished', 'ready', 'ready']);
    await adapter.failed(job.job, 'failed', 'over', [], job.state ?? '');
    await clock.run(1000);
    expect(panda.job(id).state).toBe('failed');
    expect(states()).toEqual(['ready', 'finished', 'ready', 'ready']);
  });

  it('of another job, or no range at all, are not finished by this one', async () => {
    const { parts, panda } = await started();
    const other = panda.table.submit({ events: 1, taskId: 78 });
    const [range] = panda.table.events.of(other.id);
    for (const id of [range?.id ?? '', 'x', '1-2-3', `78-${other.id}-7001-1-1`])
      await expect(parts(1, 'finish', [id])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are of jobs with events alone', async () => {
    const { adapter, panda, accepted } = await world(options);
    panda.submit({});
    const job = await accepted();
    await expect(adapter.parts?.(job.job, 1, 'take', [], job.state ?? '')).rejects.toMatchObject({
      code: 'UNSUPPORTED',
    });
  });
});
