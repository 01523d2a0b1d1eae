import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOf } from '../../../protocol/encoding.ts';
import { CoPilotError } from '../../../protocol/errors.ts';
import {
  decodeAgentMessage,
  decodeBrokerMessage,
  decodeTrustedMessage,
  encodeMessage,
  MAX_MESSAGE_BYTES,
} from '../../../protocol/messages.ts';

const REQUEST = '{"kind":"request","slot":1,"counter":1,"ad":{},"seen":[]}';
const decoders = [decodeAgentMessage, decodeBrokerMessage, decodeTrustedMessage];
const code = (expected: string) => expect.objectContaining({ code: expected });

function padded(length: number): Uint8Array {
  return bytesOf(REQUEST + ' '.repeat(length - REQUEST.length));
}

// proves: M-1, M-2
describe('what is no message', () => {
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'MALFORMED_MESSAGE'],
    ['a byte over the bound', padded(MAX_MESSAGE_BYTES + 1), 'FRAME_TOO_LARGE'],
    ['much over the bound, and no UTF-8 either', new Uint8Array(100_000).fill(0xff), 'FRAME_TOO_LARGE'],
    ['30 KiB of opening brackets', bytesOf('['.repeat(30 * 1024)), 'MALFORMED_MESSAGE'],
    ['15 KiB of lists in lists', bytesOf('['.repeat(7680) + ']'.repeat(7680)), 'UNKNOWN_KIND'],
    ['objects in objects', bytesOf('{"kind":'.repeat(3000) + '1' + '}'.repeat(3000)), 'UNKNOWN_KIND'],
    [
      'a nested host ad',
      bytesOf(REQUEST.replace('{}', `{"A":${'['.repeat(9000)}${']'.repeat(9000)}}`)),
      'MALFORMED_MESSAGE',
    ],
    ['a byte that is no UTF-8', bytesOf(REQUEST).fill(0xc0, 10, 11), 'MALFORMED_MESSAGE'],
    ['an overlong slash', Uint8Array.of(0x22, 0xc0, 0xaf, 0x22), 'MALFORMED_MESSAGE'],
    ['a surrogate in UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), 'MALFORMED_MESSAGE'],
    ['UTF-16', new Uint8Array(Buffer.from(REQUEST, 'utf16le')), 'MALFORMED_MESSAGE'],
    ['a byte order mark', bytesOf(`\ufeff${REQUEST}`), 'MALFORMED_MESSAGE'],
    ['half a message', bytesOf(REQUEST.slice(0, -1)), 'MALFORMED_MESSAGE'],
    ['two messages', bytesOf(REQUEST + REQUEST), 'MALFORMED_MESSAGE'],
    ['a comment', bytesOf(`${REQUEST}//`), 'MALFORMED_MESSAGE'],
    ['a number that is none', bytesOf(REQUEST.replace('1', 'NaN')), 'MALFORMED_MESSAGE'],
    ['null', bytesOf('null'), 'UNKNOWN_KIND'],
    ['a text', bytesOf('"request"'), 'UNKNOWN_KIND'],
    ['a list', bytesOf(`[${REQUEST}]`), 'UNKNOWN_KIND'],
    ['no kind', bytesOf('{}'), 'UNKNOWN_KIND'],
    ['a kind that is no text', bytesOf('{"kind":["request"]}'), 'UNKNOWN_KIND'],
    ['another kind', bytesOf('{"kind":"shutdown"}'), 'UNKNOWN_KIND'],
    ['the name of something every object has', bytesOf('{"kind":"constructor"}'), 'UNKNOWN_KIND'],
    ['its prototype', bytesOf('{"kind":"__proto__"}'), 'UNKNOWN_KIND'],
    ['the other direction’s kind', bytesOf('{"kind":"welcome"}'), 'UNKNOWN_KIND'],
    ['a handshake’s payload', bytesOf('{"kind":"agent-hello"}'), 'UNKNOWN_KIND'],
  ])('%s is refused', (_what, bytes, expected) => {
    expect(() => decodeAgentMessage(bytes)).toThrow(code(expected));
  });

  it('is never the reason for any other error, whatever its bytes', () => {
    const hostile = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map(bytesOf),
      fc.string({ unit: 'binary' }).map((text) => bytesOf(REQUEST.replace('request', text))),
    );
    fc.assert(
      fc.property(hostile, (bytes) => {
        for (const decode of decoders) {
          const error = thrownBy(() => decode(bytes));
          expect(['MALFORMED_MESSAGE', 'UNKNOWN_KIND']).toContain(error?.code);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is refused without a word of what it said', () => {
    const secret = 'correct horse battery staple';
    const said = [
      `{"kind":"${secret}"}`,
      REQUEST.replace('[]', `["${secret}"]`),
      REQUEST.replace('{}', `{"${secret}":1}`),
      `${REQUEST}${secret}`,
    ];
    for (const text of said)
      expect(thrownBy(() => decodeAgentMessage(bytesOf(text)))?.message).not.toContain(secret);
  });
});

describe('a message', () => {
  // proves: F-4, M-2
  it('of exactly the bound is read, and one over it is not sent', () => {
    expect(decodeAgentMessage(padded(MAX_MESSAGE_BYTES)).kind).toBe('request');
    const body = 'x'.repeat(MAX_MESSAGE_BYTES);
    expect(() => encodeMessage({ kind: 'call', body } as { kind: string })).toThrow(code('FRAME_TOO_LARGE'));
  });

  // proves: M-3
  it('that names a field twice is taken by the last, and that one is checked', () => {
    const twice = (slot: string) => bytesOf(REQUEST.replace('"slot":1', `"slot":2,"slot":${slot}`));
    expect(decodeAgentMessage(twice('3'))).toMatchObject({ slot: 3 });
    expect(() => decodeAgentMessage(twice('64'))).toThrow(code('MALFORMED_MESSAGE'));
    expect(() => decodeAgentMessage(bytesOf(REQUEST.replace('{', '{"kind":"renew",')))).not.toThrow();
  });

  it('cannot give itself a prototype', () => {
    const polluted = REQUEST.replace('{}', '{"__proto__":{"polluted":true}}');
    expect(() => decodeAgentMessage(bytesOf(polluted))).toThrow(code('MALFORMED_MESSAGE'));
    expect('polluted' in {}).toBe(false);
  });

  // proves: M-4
  it.each(['agent', 'owner', 'from', 'sender', 'sub'])(
    'has no room for a sender’s word on who it is: %s',
    (field) => {
      const claimed = REQUEST.replace('{', `{"${field}":"${'a'.repeat(26)}",`);
      expect(() => decodeAgentMessage(bytesOf(claimed))).toThrow(code('MALFORMED_MESSAGE'));
    },
  );
});

function thrownBy(action: () => unknown): CoPilotError | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    if (error instanceof CoPilotError) return error;
    throw error;
  }
}
