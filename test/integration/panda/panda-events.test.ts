import { afterEach, describe, expect, it } from 'vitest';
import { AGENT, openWorld, outputsOf, USAGE, type World, type WorldOptions } from './panda-world.ts';

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

  async function started(eventsInRange = 1) {
    const made = await world(options);
    const [id = 0] = made.panda.submit({ events: 4, eventsInRange, taskId: 77 });
    const job = await made.accepted();
    const state = job.state ?? '';
    await made.adapter.started(job.job, 1, AGENT, state);
    const parts = async (attempt: number, verb: 'take' | 'finish', named: readonly string[] = []) =>
      (await made.adapter.parts?.(job.job, attempt, verb, named, state)) ?? [];
    const states = () => made.panda.table.events.of(id).map((range) => range.state);
    const finish = () => made.adapter.finished(job.job, 2, outputsOf(job), USAGE, state);
    return { ...made, id, job, parts, states, finish };
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

  it('are counted with the result by their events, each range once, of whichever attempt, also after a restart', async () => {
    const { parts, finish, panda, id, reopen } = await started(3);
    const [first] = await parts(1, 'take');
    expect(JSON.parse(first?.body ?? '')).toMatchObject({ startEvent: 1, lastEvent: 3 });
    expect(Object.keys(first ?? {})).toEqual(['id', 'body']);
    await reopen();
    await parts(1, 'finish', [first?.id ?? '']);
    const [second] = await parts(2, 'take');
    await parts(2, 'finish', [second?.id ?? '']);
    await parts(2, 'finish', [second?.id ?? '']);
    expect(await finish()).toEqual({ events: 4 });
    expect(await finish()).toEqual({ events: 4 });
    await reopen();
    expect(await finish()).toEqual({ events: 4 });
    expect(Number(panda.job(id).fields['n_events'])).toBe(4);
  });

  it('are none of a result where none was finished', async () => {
    const { parts, finish } = await started();
    await parts(2, 'take');
    expect(await finish()).toBe('ok');
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
