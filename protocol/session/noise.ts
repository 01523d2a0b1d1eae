import { CoPilotError } from '../errors.ts';
import type { Crypto, PrivateKey, PublicKey, SealKey } from '../runtime/runtime.ts';

/** The two handshakes of suite 1: agents speak XX, adapters IK (Noise Protocol Framework revision 34). */
export type Pattern = 'XX' | 'IK';

export interface HandshakeOptions {
  readonly crypto: Crypto;
  readonly pattern: Pattern;
  readonly role: 'initiator' | 'responder';
  readonly prologue: Uint8Array;
  readonly staticKey: PrivateKey;
  /** The responder's key, which the initiator of IK knows beforehand. */
  readonly remoteStatic?: PublicKey;
}

/** What a finished handshake leaves: one key per direction, as this side uses them, and the transcript's hash. */
export interface SessionKeys {
  readonly send: SealKey;
  readonly receive: SealKey;
  readonly handshakeHash: Uint8Array;
}

/** Bytes of a public key, a hash, a chaining key. */
export const KEY_BYTES = 32;
export const TAG_BYTES = 16;
const NONCE_BYTES = 12;
const EMPTY = new Uint8Array(0);

type Token = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss';

const MESSAGES: Readonly<Record<Pattern, readonly (readonly Token[])[]>> = {
  XX: [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']],
  IK: [
    ['e', 'es', 's', 'ss'],
    ['e', 'ee', 'se'],
  ],
};

/** Everything that changes while messages pass. Byte arrays are replaced, never written to, until the end wipes them. */
interface Transcript {
  chainingKey: Uint8Array;
  hash: Uint8Array;
  key: SealKey | undefined;
  nonce: number;
  ephemeral: PrivateKey | undefined;
  remoteEphemeral: PublicKey | undefined;
  remoteStatic: PublicKey | undefined;
  messageIndex: number;
}

/**
 * One handshake, single-use. `write` throws `HANDSHAKE_FAILED` where the peer's key is a low-order point and `INTERNAL` out
 * of turn. `read` gives undefined for a message that is not right and leaves the handshake as it was, so that a forged
 * message cannot spoil the true one that follows.
 */
export class Handshake {
  readonly #options: HandshakeOptions;
  readonly #messages: readonly (readonly Token[])[];
  #transcript: Transcript | undefined;

  constructor(options: HandshakeOptions) {
    this.#options = options;
    this.#messages = MESSAGES[options.pattern];
    this.#transcript = begin(options);
  }

  /** Whose key the other side has proved or, before the last message, named. */
  get remoteStatic(): PublicKey | undefined {
    return this.#transcript?.remoteStatic;
  }

  /** This side's ephemeral public key, once a message carried it. */
  get ephemeral(): PublicKey | undefined {
    return this.#transcript?.ephemeral?.publicKey;
  }

  /** A second handshake in the same state, for a message that passes here and may yet be refused by who reads its payload. */
  fork(): Handshake {
    const copy = new Handshake(this.#options);
    const transcript = this.#live();
    copy.#transcript = {
      ...transcript,
      chainingKey: new Uint8Array(transcript.chainingKey),
      hash: new Uint8Array(transcript.hash),
    };
    return copy;
  }

  write(payload: Uint8Array): Uint8Array {
    const next = { ...this.#live() };
    const tokens = this.#tokensOf(next, 'write');
    const parts = tokens.map((token) => this.#writeToken(next, token));
    parts.push(this.#encryptAndHash(next, payload));
    this.#advance(next);
    return concatenate(parts);
  }

  read(message: Uint8Array): Uint8Array | undefined {
    const next = { ...this.#live() };
    const tokens = this.#tokensOf(next, 'read');
    try {
      let rest: Uint8Array | undefined = message;
      for (const token of tokens) {
        rest = this.#readToken(next, token, rest);
        if (rest === undefined) return undefined;
      }
      const payload = this.#decryptAndHash(next, rest);
      if (payload !== undefined) this.#advance(next);
      return payload;
    } catch (error) {
      if (error instanceof CoPilotError && error.code === 'HANDSHAKE_FAILED') return undefined;
      throw error;
    }
  }

  /** Both directions' keys, after the last message; the handshake is wiped. */
  finish(): SessionKeys {
    const transcript = this.#live();
    if (transcript.messageIndex < this.#messages.length) throw misuse('not all messages have passed');
    const { crypto, role } = this.#options;
    const material = crypto.hkdf(transcript.chainingKey, EMPTY, 2 * KEY_BYTES);
    const first = crypto.importSealKey(material.subarray(0, KEY_BYTES));
    const second = crypto.importSealKey(material.subarray(KEY_BYTES));
    const handshakeHash = new Uint8Array(transcript.hash);
    material.fill(0);
    this.discard();
    return role === 'initiator'
      ? { send: first, receive: second, handshakeHash }
      : { send: second, receive: first, handshakeHash };
  }

  /** Wipes what can be wiped; any further use throws `INTERNAL`. */
  discard(): void {
    this.#transcript?.chainingKey.fill(0);
    this.#transcript?.hash.fill(0);
    this.#transcript = undefined;
  }

  #live(): Transcript {
    if (this.#transcript === undefined) throw misuse('it is used up');
    return this.#transcript;
  }

  #tokensOf(transcript: Transcript, action: 'write' | 'read'): readonly Token[] {
    const initiatorsTurn = transcript.messageIndex % 2 === 0;
    const writing = initiatorsTurn === (this.#options.role === 'initiator');
    const tokens = this.#messages[transcript.messageIndex];
    if (tokens === undefined || writing !== (action === 'write'))
      throw misuse(`it is not its turn to ${action}`);
    return tokens;
  }

  #advance(next: Transcript): void {
    next.messageIndex++;
    this.#transcript = next;
  }

  #writeToken(next: Transcript, token: Token): Uint8Array {
    const { crypto, staticKey } = this.#options;
    switch (token) {
      case 'e': {
        next.ephemeral = crypto.generate('x25519');
        const raw = next.ephemeral.publicKey.raw;
        mixHash(crypto, next, raw);
        return raw;
      }
      case 's':
        return this.#encryptAndHash(next, staticKey.publicKey.raw);
      case 'ee':
      case 'es':
      case 'se':
      case 'ss':
        this.#mixDiffieHellman(next, token);
        return EMPTY;
    }
  }

  /** What is left of the message, or undefined where the token is not there or not right. */
  #readToken(next: Transcript, token: Token, message: Uint8Array): Uint8Array | undefined {
    const { crypto } = this.#options;
    switch (token) {
      case 'e': {
        if (message.length < KEY_BYTES) return undefined;
        const raw = message.subarray(0, KEY_BYTES);
        next.remoteEphemeral = crypto.importPublic('x25519', raw);
        mixHash(crypto, next, raw);
        return message.subarray(KEY_BYTES);
      }
      case 's': {
        const length = KEY_BYTES + (next.key === undefined ? 0 : TAG_BYTES);
        if (message.length < length) return undefined;
        const raw = this.#decryptAndHash(next, message.subarray(0, length));
        if (raw === undefined) return undefined;
        next.remoteStatic = crypto.importPublic('x25519', raw);
        return message.subarray(length);
      }
      case 'ee':
      case 'es':
      case 'se':
      case 'ss':
        this.#mixDiffieHellman(next, token);
        return message;
    }
  }

  #mixDiffieHellman(next: Transcript, token: 'ee' | 'es' | 'se' | 'ss'): void {
    const { crypto, role, staticKey } = this.#options;
    const [initiators, responders] = token;
    const [ownKind, peerKind] = role === 'initiator' ? [initiators, responders] : [responders, initiators];
    const own = ownKind === 'e' ? next.ephemeral : staticKey;
    const peer = peerKind === 'e' ? next.remoteEphemeral : next.remoteStatic;
    if (own === undefined || peer === undefined) throw misuse(`a key of ${token} is missing`);
    mixKey(crypto, next, crypto.diffieHellman(own, peer));
  }

  #encryptAndHash(next: Transcript, plaintext: Uint8Array): Uint8Array {
    const { crypto } = this.#options;
    const text =
      next.key === undefined ? plaintext : crypto.seal(next.key, nonceOf(next.nonce++), next.hash, plaintext);
    mixHash(crypto, next, text);
    return text;
  }

  #decryptAndHash(next: Transcript, text: Uint8Array): Uint8Array | undefined {
    const { crypto } = this.#options;
    const plaintext =
      next.key === undefined
        ? new Uint8Array(text)
        : crypto.open(next.key, nonceOf(next.nonce++), next.hash, text);
    if (plaintext !== undefined) mixHash(crypto, next, text);
    return plaintext;
  }
}

function begin(options: HandshakeOptions): Transcript {
  const { crypto, pattern, prologue, role, staticKey } = options;
  const name = new Uint8Array(KEY_BYTES);
  name.set(new TextEncoder().encode(`Noise_${pattern}_25519_AESGCM_SHA256`));
  const transcript: Transcript = {
    chainingKey: name,
    hash: new Uint8Array(name),
    key: undefined,
    nonce: 0,
    ephemeral: undefined,
    remoteEphemeral: undefined,
    remoteStatic: pattern === 'IK' && role === 'initiator' ? options.remoteStatic : undefined,
    messageIndex: 0,
  };
  mixHash(crypto, transcript, prologue);
  if (pattern === 'IK') {
    const responders = role === 'initiator' ? transcript.remoteStatic : staticKey.publicKey;
    if (responders === undefined) throw misuse("IK needs the responder's key");
    mixHash(crypto, transcript, responders.raw);
  }
  return transcript;
}

function mixHash(crypto: Crypto, transcript: Transcript, data: Uint8Array): void {
  transcript.hash = crypto.sha256(concatenate([transcript.hash, data]));
}

function mixKey(crypto: Crypto, transcript: Transcript, inputKey: Uint8Array): void {
  const material = crypto.hkdf(transcript.chainingKey, inputKey, 2 * KEY_BYTES);
  transcript.chainingKey = material.slice(0, KEY_BYTES);
  transcript.key = crypto.importSealKey(material.subarray(KEY_BYTES));
  transcript.nonce = 0;
  material.fill(0);
  inputKey.fill(0);
}

/** Four zero bytes and the counter, big endian: Noise's nonce for AESGCM, for handshakes and frames alike. */
export function nonceOf(counter: number): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES);
  writeUint64(nonce, 4, counter);
  return nonce;
}

/** Writes a whole number below 2^53, big endian. */
export function writeUint64(bytes: Uint8Array, offset: number, value: number): void {
  let high = Math.floor(value / 2 ** 32);
  let low = value >>> 0;
  for (let at = 3; at >= 0; at--) {
    bytes[offset + at] = high & 0xff;
    bytes[offset + 4 + at] = low & 0xff;
    high >>>= 8;
    low >>>= 8;
  }
}

function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function misuse(what: string): CoPilotError {
  return new CoPilotError('INTERNAL', `handshake misused: ${what}`);
}
