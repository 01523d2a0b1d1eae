import { describe, expect, it } from 'vitest';
import { commandOf, toldOf } from '../../../adapters/jobs/panda/states.ts';
import { readOptions } from '../../../adapters/jobs/panda/panda-options.ts';

describe('the command of an answer', () => {
  it.each([
    ['NULL', 'none'],
    ['tobekilled', 'kill'],
    ['debug,tobekilled', 'kill'],
    ['softkill', 'kill'],
    ['alreadydone', 'done'],
    ['debug', 'none'],
    ['tail payload.stdout', 'none'],
    ['rm -rf /; tobekilled-not', 'none'],
    ['', 'none'],
  ])('%j is %s', (text, command) => {
    expect(commandOf(text)).toBe(command);
  });
});

describe('a last word', () => {
  const at = (status: string, attempt = 1) => ({ id: 1, status, attempt });
  it.each([
    ['finished', at('holding'), 'none', 'told'],
    ['finished', at('holding'), 'done', 'told'],
    ['finished', at('finished'), 'kill', 'told'],
    ['finished', at('transferring'), 'done', 'told'],
    ['finished', at('running'), 'none', 'not-told'],
    ['finished', at('running'), 'kill', 'refused'],
    ['finished', at('failed'), 'done', 'refused'],
    ['finished', at('cancelled'), 'kill', 'refused'],
    ['finished', at('closed'), 'kill', 'refused'],
    ['finished', at('not found', 0), 'kill', 'refused'],
    ['finished', at('activated', 2), 'kill', 'refused'],
    ['failed', at('running'), 'none', 'not-told'],
    ['failed', at('running'), 'kill', 'told'],
    ['failed', at('activated', 2), 'kill', 'told'],
    ['failed', at('not found', 0), 'kill', 'told'],
    ['failed', at('holding'), 'none', 'told'],
  ] as const)('%s, when PanDA has %j and answered %s, is %s', (wanted, status, command, told) => {
    expect(toldOf(wanted, 1, status, command)).toBe(told);
  });
});

describe('the options of a PanDA adapter', () => {
  const settings = (options: object, credential: object = {}) =>
    ({
      kind: 'panda',
      url: 'https://panda.example.org:25443',
      queues: {},
      credential,
      attempts: 1,
      options,
    }) as const;

  it('are safe where nothing is said', () => {
    expect(readOptions(settings({}) as never, 'one')).toMatchObject({
      api: 'v1',
      mode: 'payload',
      heartbeatMs: 1_200_000,
      transformations: ['http://panda.example.org/trf/', 'https://panda.example.org/trf/'],
      inputs: {},
      takesEvents: false,
    });
  });

  it.each([
    ['bogus', { bogus: 1 }, {}],
    ['origin', {}, { tokenFile: '/t' }],
    ['origin', { origin: 'atlas production' }, {}],
    ['api', { api: 'v2' }, {}],
    ['heartbeatMinutes', { heartbeatMinutes: 0 }, {}],
    ['heartbeatMinutes', { heartbeatMinutes: 31 }, {}],
    ['inputs', { inputs: { X: 'file:///etc' } }, {}],
    ['transformations', { transformations: 'x' }, {}],
    ['eventService', { eventService: 'yes' }, {}],
  ])('are refused for %s, by its name', (key, options, credential) => {
    expect(() => readOptions(settings(options, credential) as never, 'one')).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIGURATION', message: expect.stringContaining(key) }),
    );
  });
});
