import { expect, it } from 'vitest';
import { bytesOf } from '../../../protocol/bindings/websocket-frames.ts';

const pool = Buffer.from('before and after what was said');

it.each<[string, Buffer | ArrayBuffer | Buffer[]]>([
  ['a buffer', Buffer.from('hello')],
  ['a part of a larger buffer', Buffer.concat([pool, Buffer.from('hello')]).subarray(pool.length)],
  ['pieces', [Buffer.from('he'), Buffer.alloc(0), Buffer.from('llo')]],
  ['an array buffer', new Uint8Array([104, 101, 108, 108, 111]).buffer],
])('a message’s bytes are the same from %s', (_form, data) => {
  expect(new TextDecoder().decode(bytesOf(data))).toBe('hello');
  expect(bytesOf(data).constructor).toBe(Uint8Array);
});

it('a message in one piece is not copied', () => {
  const data = Buffer.from('hello');
  expect(bytesOf(data).buffer).toBe(data.buffer);
});
