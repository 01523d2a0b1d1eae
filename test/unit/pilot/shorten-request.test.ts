import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { MAX_CALL_BYTES } from '../../../agent/pilot/pilot-exchange.ts';
import type { PilotRequest } from '../../../agent/pilot/pilot-exchange.ts';
import { shorten } from '../../../agent/pilot/shorten-request.ts';

const FORM = 'application/x-www-form-urlencoded';
/** Text that does not compress. */
const noise = (length: number): string => {
  let state = 1;
  return Array.from({ length }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return String.fromCharCode(33 + (state % 90)).replace(/["\\]/, 'q');
  }).join('');
};

const LONG = noise(40_000);

const request = (fields: object, contentType = 'application/json'): PilotRequest => ({
  verb: 'POST',
  target: '/server/panda/updateJob',
  contentType,
  accept: '',
  body:
    contentType === FORM
      ? Buffer.from(new URLSearchParams(Object.entries(fields)).toString())
      : gzipSync(JSON.stringify(fields)),
});

function fieldsIn(text: string, contentType = 'application/json'): Record<string, unknown> {
  const { body } = JSON.parse(text) as { body: string };
  const bytes = Buffer.from(body, 'base64');
  return contentType === FORM
    ? Object.fromEntries(new URLSearchParams(bytes.toString()))
    : (JSON.parse(gunzipSync(bytes).toString()) as Record<string, unknown>);
}

function fitted(asked: PilotRequest) {
  const shortened = shorten(asked);
  if (shortened.kind !== 'fits') throw new Error('it does not fit');
  expect(shortened.text.length).toBeLessThanOrEqual(MAX_CALL_BYTES);
  return { cut: shortened.cut, fields: fieldsIn(shortened.text, asked.contentType) };
}

describe('a request as a call carries it', () => {
  it('goes as it is where it fits, however long its logs are uncompressed', () => {
    const asked = request({ jobId: '1', pilotLog: 'all the same '.repeat(20_000) });
    const shortened = shorten(asked);
    expect(shortened).toMatchObject({ kind: 'fits', cut: [] });
    const { body } = JSON.parse((shortened as { text: string }).text) as { body: string };
    expect(Buffer.from(body, 'base64')).toEqual(asked.body);
  });

  it('is shortened where it is small only as long as it is compressed', () => {
    const { cut, fields } = fitted(request({ jobId: '1', pilotLog: 'all the same '.repeat(100_000) }));
    expect(cut).toEqual(['pilotLog']);
    expect(fields['pilotLog']).toMatch(/^\[co-pilot: \d+ characters before this were cut\].*all the same $/);
  });

  it.each(['application/json', FORM])('%s: of a job report keeps what the server reads', (contentType) => {
    const subFiles = [{ name: 'out.root', nentries: 100, file_guid: 'ABC', extra: noise(30_000) }];
    const metaData = JSON.stringify({
      executor: [noise(1_000)],
      files: { output: [{ subFiles, type: 'x' }] },
    });
    const { cut, fields } = fitted(request({ jobId: '1', state: 'finished', metaData }, contentType));
    expect(cut).toEqual(['metaData']);
    expect(fields).toMatchObject({ jobId: '1', state: 'finished' });
    expect(JSON.parse(fields['metaData'] as string)).toEqual({
      coPilot: `shortened from ${metaData.length} characters`,
      files: { output: [{ subFiles: [{ name: 'out.root', nentries: 100, file_guid: 'ABC' }] }] },
    });
  });

  it('says in its place what it took of a job report that is none', () => {
    const { cut, fields } = fitted(request({ jobId: '1', metaData: noise(60_000) }));
    expect(cut).toEqual(['metaData']);
    expect(JSON.parse(fields['metaData'] as string)).toEqual({
      coPilot: 'a job report of 60000 characters was left out',
    });
  });

  it('keeps the end of a log', () => {
    const log = `${noise(60_000)}the last words`;
    const { cut, fields } = fitted(request({ jobId: '1', xml: '{"out": {}}', pilotLog: log }));
    expect(cut).toEqual(['pilotLog']);
    expect(fields['pilotLog']).toMatch(/^\[co-pilot: 51822 characters before this were cut\]/);
    expect(fields['pilotLog']).toMatch(/the last words$/);
    expect(fields['xml']).toBe('{"out": {}}');
  });

  it.each([
    ['an output report beyond all bounds', request({ jobId: '1', xml: noise(60_000) })],
    ['no gzip', { ...request({}), body: Buffer.from(noise(30_000)) }],
    ['a bomb', { ...request({}), body: Buffer.concat([gzipSync(Buffer.alloc(64 * 1024 * 1024))]) }],
    ['a list', { ...request({}), body: gzipSync(JSON.stringify([LONG])) }],
  ])('%s does not fit', (_what, asked) => {
    expect(shorten(asked)).toEqual({ kind: 'too-large' });
  });

  it.each([
    'null',
    '[]',
    '{"files": null}',
    '{"files": {"output": [1, {"subFiles": {}}, {"subFiles": [null]}]}}',
  ])('takes what a payload wrote for a report: %s', (report) => {
    const { cut, fields } = fitted(request({ metaData: report + ' '.repeat(600_000), pilotLog: LONG }));
    expect(cut).toEqual(['metaData', 'pilotLog']);
    expect(JSON.parse(fields['metaData'] as string)).toHaveProperty('coPilot');
  });
});
