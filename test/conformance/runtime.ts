import { beforeEach, describe, expect, it } from 'vitest';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import type { Clock, Crypto, KeyKind, Random } from '../../protocol/runtime/runtime.ts';

/** The ports of a runtime that have more than one implementation. */
export interface RuntimeUnderTest {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: Crypto;
  /** Lets at least so much time pass by the clock. */
  readonly pass: (ms: number) => Promise<void>;
}

const KINDS: readonly KeyKind[] = ['x25519', 'ed25519', 'p256'];
const SIGNING: readonly KeyKind[] = ['ed25519', 'p256'];
const text = new TextEncoder().encode('what is signed or sealed');
const none = new Uint8Array(0);
const nonce = new Uint8Array(12).fill(3);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const unhex = (digits: string) => new Uint8Array(Buffer.from(digits, 'hex'));

/** The same bytes with one bit changed. */
function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
}

/** What the clock, random and cryptography of every runtime promise (protocol/runtime/runtime.ts). */
export function runtimeConformance(name: string, create: () => RuntimeUnderTest): void {
  describe(`runtime contract: ${name}`, () => {
    let subject: RuntimeUnderTest;
    beforeEach(() => {
      subject = create();
    });
    describe('clock', () => clockContract(() => subject));
    describe('random', () => randomContract(() => subject.random));
    describe('crypto', () => cryptoContract(() => subject.crypto));
  });
}

function clockContract(subject: () => RuntimeUnderTest): void {
  it('goes on by itself, and never back', async () => {
    const { clock, pass } = subject();
    const [monotonic, wall] = [clock.monotonicMs(), clock.wallMs()];
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(monotonic);
    await pass(10);
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(monotonic + 10);
    expect(clock.wallMs()).toBeGreaterThan(wall);
    expect(clock.wallMs()).toBeGreaterThan(Date.UTC(2020, 0, 1));
  });

  it('calls never early, once, and not from within `schedule`', async () => {
    const { clock, pass } = subject();
    const startMs = clock.monotonicMs();
    const lateMs: number[] = [];
    const delays = [0, 0.25, 1, 1.5, 2, 7, 13];
    for (const delayMs of delays)
      clock.schedule(delayMs, () => lateMs.push(clock.monotonicMs() - startMs - delayMs));
    expect(lateMs).toEqual([]);
    await pass(30);
    expect(lateMs).toHaveLength(delays.length);
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
  });

  it('calls in order of time, whatever the order of scheduling', async () => {
    const { clock, pass } = subject();
    const called: number[] = [];
    for (const delayMs of [40, 0, 20]) clock.schedule(delayMs, () => called.push(delayMs));
    await pass(60);
    expect(called).toEqual([0, 20, 40]);
  });

  it('calls what is due at once in order of scheduling, a delay below zero as none', async () => {
    const { clock, pass } = subject();
    const called: number[] = [];
    for (const [at, delayMs] of [0, -5, 0, 0, -1e9].entries()) clock.schedule(delayMs, () => called.push(at));
    await pass(5);
    expect(called).toEqual([0, 1, 2, 3, 4]);
  });

  it('calls nothing that was cancelled, before or by another action; twice and afterwards is harmless', async () => {
    const { clock, pass } = subject();
    const called: string[] = [];
    const never = [0, 5, 2 ** 40].map((delayMs) => clock.schedule(delayMs, () => called.push('cancelled')));
    for (const cancel of [...never, ...never]) cancel();
    const later = clock.schedule(20, () => called.push('cancelled by another'));
    const own = clock.schedule(5, () => {
      called.push('own');
      own();
      later();
    });
    await pass(40);
    for (const cancel of [own, later, ...never]) cancel();
    await pass(5);
    expect(called).toEqual(['own']);
  });

  it('cancels one action and no other', async () => {
    const { clock, pass } = subject();
    const called: string[] = [];
    const action = (): void => void called.push('kept');
    const cancel = clock.schedule(5, action);
    clock.schedule(5, action);
    cancel();
    cancel();
    await pass(20);
    expect(called).toEqual(['kept']);
  });

  it('takes actions from within actions, each with its whole delay', async () => {
    const { clock, pass } = subject();
    const startMs = clock.monotonicMs();
    const calledMs: number[] = [];
    const again = (left: number): void => {
      calledMs.push(clock.monotonicMs() - startMs);
      if (left > 0) clock.schedule(5, () => again(left - 1));
    };
    clock.schedule(5, () => again(2));
    await pass(60);
    expect(calledMs).toHaveLength(3);
    for (const [at, ms] of calledMs.entries()) expect(ms).toBeGreaterThanOrEqual(5 * (at + 1));
  });

  it('waits with delays longer than any timer of the platform', async () => {
    const { clock, pass } = subject();
    let isCalled = false;
    const cancels = [2 ** 31, 2 ** 32 + 1, 2 ** 45].map((ms) => clock.schedule(ms, () => (isCalled = true)));
    await pass(20);
    for (const cancel of cancels) cancel();
    expect(isCalled).toBe(false);
  });
}

function randomContract(random: () => Random): void {
  it.each([0, 1, 3, 4, 32, 65_537])('gives %i bytes where so many are asked for', (length) => {
    expect(random().bytes(length)).toHaveLength(length);
  });

  it('gives other bytes each time, of every value', () => {
    expect(hex(random().bytes(16))).not.toBe(hex(random().bytes(16)));
    expect(new Set(random().bytes(20_000)).size).toBe(256);
  });
}

function cryptoContract(crypto: () => Crypto): void {
  /** What every implementation must agree with: another one in the same session. */
  const peer = createCrypto();

  it.each(KINDS)('%s: keys differ, and travel between implementations and back', (kind) => {
    const key = crypto().generate(kind);
    expect(hex(crypto().generate(kind).publicKey.raw)).not.toBe(hex(key.publicKey.raw));
    expect(key.publicKey.raw).toHaveLength(kind === 'p256' ? 65 : 32);
    const elsewhere = peer.importPrivate(kind, crypto().exportPrivate(key));
    expect(hex(elsewhere.publicKey.raw)).toBe(hex(key.publicKey.raw));
    const back = crypto().importPrivate(kind, peer.exportPrivate(elsewhere));
    expect(hex(back.publicKey.raw)).toBe(hex(key.publicKey.raw));
    expect(crypto().importPublic(kind, key.publicKey.raw)).toMatchObject({ kind, raw: key.publicKey.raw });
  });

  it.each(KINDS)('%s: bytes of another length are no key (HANDSHAKE_FAILED)', (kind) => {
    const refused = expect.objectContaining({ code: 'HANDSHAKE_FAILED' });
    for (const length of [0, 31, 33, 64, 66]) {
      expect(() => crypto().importPrivate(kind, new Uint8Array(length).fill(1))).toThrow(refused);
      expect(() => crypto().importPublic(kind, new Uint8Array(length).fill(4))).toThrow(refused);
    }
  });

  it('x25519: both sides come to one secret, as RFC 7748 section 6.1 does', () => {
    const alice = crypto().importPrivate(
      'x25519',
      unhex('77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a'),
    );
    const bob = crypto().importPrivate(
      'x25519',
      unhex('5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb'),
    );
    const secret = '4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742';
    expect(hex(crypto().diffieHellman(alice, bob.publicKey))).toBe(secret);
    expect(hex(crypto().diffieHellman(bob, alice.publicKey))).toBe(secret);
    const [own, theirs] = [crypto().generate('x25519'), peer.generate('x25519')];
    const ours = crypto().diffieHellman(own, crypto().importPublic('x25519', theirs.publicKey.raw));
    expect(ours).toEqual(peer.diffieHellman(theirs, peer.importPublic('x25519', own.publicKey.raw)));
  });

  it('x25519: a point of low order is HANDSHAKE_FAILED', () => {
    const zero = crypto().importPublic('x25519', new Uint8Array(32));
    expect(() => crypto().diffieHellman(crypto().generate('x25519'), zero)).toThrow(
      expect.objectContaining({ code: 'HANDSHAKE_FAILED' }),
    );
  });

  it('ed25519: signs as RFC 8032 section 7.1 does', () => {
    const key = crypto().importPrivate(
      'ed25519',
      unhex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
    );
    expect(hex(crypto().sign(key, none))).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
  });

  it.each(SIGNING)('%s: a signature holds here and elsewhere, and nothing like it does', (kind) => {
    const key = crypto().generate(kind);
    const signature = crypto().sign(key, text);
    const elsewhere = peer.importPublic(kind, key.publicKey.raw);
    expect(signature).toHaveLength(64);
    expect(crypto().verify(key.publicKey, text, signature)).toBe(true);
    expect(peer.verify(elsewhere, text, signature)).toBe(true);
    expect(crypto().verify(key.publicKey, flipped(text, 5), signature)).toBe(false);
    expect(crypto().verify(crypto().generate(kind).publicKey, text, signature)).toBe(false);
    for (const wrong of [none, signature.subarray(1), flipped(signature, 9), flipped(signature, 60)])
      expect(crypto().verify(key.publicKey, text, wrong)).toBe(false);
  });

  it('opens what was sealed, here and elsewhere, and nothing with a bit of it changed', () => {
    const raw = new Uint8Array(32).fill(7);
    const key = crypto().importSealKey(raw);
    for (const plaintext of [none, text]) {
      const sealed = crypto().seal(key, nonce, text, plaintext);
      expect(sealed).toHaveLength(plaintext.length + 16);
      expect(crypto().open(key, nonce, text, sealed)).toEqual(plaintext);
      expect(peer.open(peer.importSealKey(raw), nonce, text, sealed)).toEqual(plaintext);
      for (let at = 0; at < sealed.length; at++)
        expect(crypto().open(key, nonce, text, flipped(sealed, at))).toBeUndefined();
      expect(crypto().open(key, flipped(nonce, 0), text, sealed)).toBeUndefined();
      expect(crypto().open(key, nonce, none, sealed)).toBeUndefined();
      expect(crypto().open(key, nonce, text, sealed.subarray(1))).toBeUndefined();
    }
  });

  it('digests as FIPS 180, RFC 4231 and RFC 5869 do', () => {
    const bytes = (word: string) => new TextEncoder().encode(word);
    expect(hex(crypto().sha256(bytes('abc')))).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(hex(crypto().hmacSha256(bytes('Jefe'), bytes('what do ya want for nothing?')))).toBe(
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    );
    const long = hex(crypto().hkdf(none, new Uint8Array(22).fill(0x0b), 96));
    expect(long).toMatch(/^8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d/);
    for (const length of [32, 64])
      expect(long.startsWith(hex(crypto().hkdf(none, new Uint8Array(22).fill(0x0b), length)))).toBe(true);
  });

  it('keeps its own copy of what it imports, and hands out bytes that nobody else holds', () => {
    const raw = new Uint8Array(32).fill(7);
    const key = crypto().importSealKey(raw);
    const sealed = crypto().seal(key, nonce, none, text);
    raw.fill(0);
    const opened = crypto().open(key, nonce, none, sealed)!;
    expect(opened).toEqual(text);
    opened.fill(0);
    expect(crypto().open(key, nonce, none, sealed)).toEqual(text);
  });
}
