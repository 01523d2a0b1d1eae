import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import type { AskParts } from '../../../agent/pilot/pilot-host.ts';
import type { Part } from '../../../protocol/generated/types.ts';
import { answered, bodyOf, setPilotStage } from './pilot-stage.ts';
import type { PilotStage } from './pilot-stage.ts';

const FORM = ['Content-Type: application/x-www-form-urlencoded', 'Accept: application/json'];
const RANGE = {
  eventRangeID: '77-4001-1-1-1',
  startEvent: 1,
  lastEvent: 10,
  LFN: 'in',
  GUID: 'g',
  scope: 's',
};
const PART: Part = { id: RANGE.eventRangeID, body: JSON.stringify(RANGE) };

let stage: PilotStage;
let asked: string[];

afterEach(() => stage.close());

async function open(isPilot: boolean, parts: readonly Part[] = [PART]): Promise<void> {
  asked = [];
  const ask: AskParts = (verb, ids) => {
    asked.push(`${verb} ${ids.join(' ')}`.trim());
    return Promise.resolve({ kind: 'answered', message: { parts: verb === 'take' ? parts : [] } });
  };
  stage = await setPilotStage(() => Promise.resolve(answered('StatusCode=0')), { isPilot, parts: ask });
}

const form = (path: string, fields: Record<string, string>): Promise<string> =>
  stage.post(path, Buffer.from(new URLSearchParams(fields).toString()), FORM);
const update = async (items: unknown): Promise<unknown> =>
  JSON.parse(
    bodyOf(
      await form('/server/panda/updateEventRanges', { eventRanges: JSON.stringify(items), version: '0' }),
    ),
  );

describe('a payload with parts', () => {
  it('takes some and finishes them, by plain JSON', async () => {
    await open(false);
    expect(stage.desk.environment).toEqual({ COPILOT_PARTS_URL: `http://127.0.0.1:${stage.port}/v1/parts` });
    expect(JSON.parse(bodyOf(await stage.post('/v1/parts/take', Buffer.from(''))))).toEqual({
      parts: [PART],
    });
    const done = Buffer.from(JSON.stringify({ parts: [PART.id] }));
    expect(JSON.parse(bodyOf(await stage.post('/v1/parts/finish', done)))).toEqual({ parts: [] });
    expect(asked).toEqual(['take', `finish ${PART.id}`]);
  });

  it.each([
    ['no JSON', 'x'],
    ['none', '{"parts": []}'],
    ['one that is no name', '{"parts": ["a b"]}'],
    ['one that is no text', '{"parts": [1]}'],
    ['too many', JSON.stringify({ parts: Array.from({ length: 65 }, (_, n) => `p${n}`) })],
    ['a long one', JSON.stringify({ parts: ['x'.repeat(129)] })],
  ])('is refused where it names %s', async (_what, body) => {
    await open(false);
    expect(await stage.post('/v1/parts/finish', Buffer.from(body))).toMatch(/^HTTP\/1\.1 403 /);
    expect(asked).toEqual([]);
  });

  it('has nothing of a pilot’s', async () => {
    await open(false);
    expect(await form('/server/panda/getJob', {})).toMatch(/^HTTP\/1\.1 403 /);
    expect(stage.asked).toEqual([]);
  });
});

describe('a pilot of the event service', () => {
  it('takes ranges, as JSON or as a form', async () => {
    await open(true);
    const fields = { pandaID: '4001', jobsetID: '88', taskID: '77', nRanges: '1' };
    expect(JSON.parse(bodyOf(await form('/server/panda/getEventRanges', fields)))).toEqual({
      StatusCode: 0,
      eventRanges: [RANGE],
    });
    const text = bodyOf(
      await stage.post('/server/panda/getEventRanges', gzipSync(JSON.stringify(fields)), [
        'Content-Type: application/json',
      ]),
    );
    expect(Object.fromEntries(new URLSearchParams(text))).toEqual({
      StatusCode: '0',
      eventRanges: JSON.stringify([RANGE]),
    });
  });

  it('finishes those that it says are finished, one by one or in an archive; of others nobody is told', async () => {
    await open(true);
    const ranges = [
      { eventRangeID: '77-4001-1-1-1', eventStatus: 'finished' },
      { eventRangeID: '77-4001-1-2-1', eventStatus: 'running' },
      { eventRangeID: '77-4001-1-3-1', eventStatus: 'failed' },
    ];
    expect(await update(ranges)).toEqual({ StatusCode: 0, Returns: [true, null, null], Command: {} });
    expect(await update([{ zipFile: { lfn: 'z' }, eventRanges: ranges.slice(0, 2) }])).toMatchObject({
      Returns: [true, null],
    });
    expect(await update(ranges.slice(1))).toMatchObject({ Returns: [null, null] });
    await form('/server/panda/updateEventRange', { eventRangeID: '77-4001-1-1-1', eventStatus: 'finished' });
    expect(asked).toEqual(Array.from({ length: 3 }, () => 'finish 77-4001-1-1-1'));
  });

  it('is told nothing of ranges where its job has none', async () => {
    stage = await setPilotStage(() => Promise.resolve(answered('StatusCode=0')));
    expect(await form('/server/panda/getEventRanges', { pandaID: '4001' })).toMatch(/^HTTP\/1\.1 403 /);
  });
});
