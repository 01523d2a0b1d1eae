import { describe, expect, it } from 'vitest';
import { openCapability, signCapability } from '../../../adapters/storage/bridge/capability-token.ts';
import type { CapabilityClaims } from '../../../adapters/storage/bridge/capability-token.ts';
import { createCrypto, nodeRandom } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const key = nodeRandom.bytes(32);
const claims: CapabilityClaims = {
  job: 'a'.repeat(26),
  attempt: 1,
  name: 'out.csv',
  verb: 'put',
  max: 10,
  total: 20,
  exp: 1_800_000_000,
  cnf: { jkt: 'k'.repeat(43) },
};
const token = signCapability(crypto, key, claims);
const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('capability tokens', () => {
  it('are read back with the key they were made with', () =>
    expect(openCapability(crypto, key, token)).toEqual(claims));

  it('fit the schema’s token and leave room for 32 of them in a message', () => {
    expect(token).toMatch(/^[A-Za-z0-9._~+/=-]+$/);
    expect(token.length).toBeLessThan(480);
  });

  const [head, body, mac] = token.split('.');
  it.each([
    ['made with another key', signCapability(crypto, nodeRandom.bytes(32), claims)],
    ['with other claims', `${head}.${part({ ...claims, attempt: 2 })}.${mac}`],
    ['with alg none', `${part({ alg: 'none', typ: 'copilot-capability' })}.${body}.`],
    ['without a mac', `${head}.${body}.`],
    ['with a mac cut short', `${head}.${body}.${mac!.slice(0, -2)}`],
    ['with a part too many', `${token}.x`],
    ['with a part too few', `${head}.${body}`],
    ['empty', ''],
    ['of dots', '...'],
  ])('%s is none', (_what, text) => expect(openCapability(crypto, key, text)).toBeUndefined());

  it('with any single character changed are none', () => {
    for (let at = 0; at < token.length; at++) {
      const changed = token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1);
      const opened = openCapability(crypto, key, changed);
      // The last character of base64url holds bits that are no part of the value.
      if (at < token.length - 1) expect(opened).toBeUndefined();
    }
  });
});
