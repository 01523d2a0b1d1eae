import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ownerName } from '../../../broker/enrolment/owner-name.ts';
import { createCrypto } from '../../../protocol/runtime/node-runtime.ts';

const crypto = createCrypto();
const NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;
const realm = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,22}[a-z0-9])?$/);
const subject = fc.oneof(fc.string({ maxLength: 300 }), fc.stringMatching(/^[a-z0-9._-]{1,70}$/));

it('keeps a subject that can be read', () => {
  expect(ownerName(crypto, 'cern', 'b0c2-77')).toBe('cern.b0c2-77');
});

it('I7 is a name in the protocol whatever the subject is', () => {
  fc.assert(
    fc.property(realm, subject, (of, who) => {
      expect(ownerName(crypto, of, who)).toMatch(NAME);
    }),
  );
});

it('is never the same for two subjects, one written as the other’s digest included', () => {
  fc.assert(
    fc.property(realm, subject, subject, (of, one, other) => {
      const name = ownerName(crypto, of, one);
      fc.pre(one !== other);
      expect(ownerName(crypto, of, other)).not.toBe(name);
      expect(ownerName(crypto, of, name.slice(of.length + 1)) === name).toBe(name === `${of}.${one}`);
    }),
  );
});

it.each(['Somebody', 'SOMEBODY', 'some body', 'somebody\n', 'söme'])(
  'does not take %j for another',
  (who) => {
    expect(ownerName(crypto, 'cern', who)).toMatch(/^cern\.h-[a-z2-7]{32}$/);
  },
);
