import { gunzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { DUMMY_TOKEN } from '../../../agent/pilot/panda-dialect.ts';
import { CAPTURES, TOKEN_REQUEST } from './captures.ts';
import { answered, bodyOf, setPilotStage } from './pilot-stage.ts';
import type { PilotStage } from './pilot-stage.ts';

let stage: PilotStage;

afterEach(() => stage.close());

describe('what a real pilot sent, sent again byte for byte', () => {
  it.each(CAPTURES)('$what: gets the captured reply', async ({ head, body, method, reply }) => {
    const isJson = reply.startsWith('{');
    stage = await setPilotStage(() =>
      Promise.resolve(answered(reply, isJson ? 'application/json' : 'text/plain')),
    );
    const answer = await stage.exchange(head, body);
    expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(bodyOf(answer)).toBe(reply);
    const [asked] = stage.asked;
    expect(asked?.method).toBe(method);
    expect(asked?.body).toEqual(body);
    expect(asked?.accept).toBe(isJson ? 'application/json' : '');
    if (!isJson) expect(JSON.parse(gunzipSync(body).toString())).toBeTypeOf('object');
  });

  it('a credential that a pilot sends is not passed on', async () => {
    stage = await setPilotStage(() => Promise.resolve(answered('StatusCode=0&command=NULL')));
    for (const { head, body } of CAPTURES) await stage.exchange(head, body);
    expect(stage.texts.join()).not.toMatch(/Bearer|e30\.e30|atlas\.pilot/i);
  });

  it('a pilot that wants a token gets one that opens nothing, as the Python literal it reads', async () => {
    stage = await setPilotStage(() => Promise.reject(new Error('nobody asks the adapter')));
    const answer = await stage.exchange(TOKEN_REQUEST);
    expect(bodyOf(answer)).toBe(`{"StatusCode": 0, "errorDialog": "", "userProxy": "${DUMMY_TOKEN}"}`);
    expect(stage.asked).toEqual([]);
  });
});
