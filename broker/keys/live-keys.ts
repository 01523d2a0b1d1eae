import { base64url, fromHex } from '../../protocol/encoding.ts';
import { signEndorsement } from '../../protocol/endorsement.ts';
import { loadKey } from '../../protocol/runtime/key-file.ts';
import type { PrivateKey, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { watchFile } from '../../protocol/runtime/watched-file.ts';
import {
  accepted,
  type KeyPurpose,
  type KeyRing,
  nextCertifier,
  parseRing,
  renewable,
  type RingEntry,
  signing,
} from './key-ring.ts';

export interface LiveKeysOptions {
  readonly runtime: Runtime;
  readonly installation: string;
  /** The ring's file, for its owner alone; it may be one that several brokers of a machine share. */
  readonly path: string;
  /** What counts until a key was rolled. */
  readonly first: KeyRing;
}

/** The signing keys as they are now; whoever keeps one for longer than a moment misses a roll. */
export interface LiveKeys {
  identity(): PrivateKey;
  certifier(): PrivateKey;
  grant(): PrivateKey;
  /** Whose identities open sessions and the bus. */
  identities(): readonly PublicKey[];
  /** Whose identities may be renewed. */
  renewable(): readonly PublicKey[];
  /** Whose identities may be renewed to what the ledger knows of the agent. */
  dropped(): readonly PublicKey[];
  /** Both of these, without those that count still. */
  former(): readonly PublicKey[];
  /** The word of the certifier that signs for the one that will; undefined where none is to follow. */
  endorsement(): string | undefined;
  stop(): void;
}

const ENDORSED_SECONDS = 86_400;

/** Rejects with `INVALID_CONFIGURATION` where the ring cannot be read. */
export async function openLiveKeys({
  runtime,
  installation,
  path,
  first,
}: LiveKeysOptions): Promise<LiveKeys> {
  const { crypto, clock, log } = runtime;
  const loaded = new Map<string, PrivateKey>();
  const imported = new Map<string, PublicKey>();
  const file = await watchFile({
    path,
    parse: (text) => checked(parseRing(text)),
    missing: checked(first),
    isSecret: true,
    clock,
    log,
    onChange: () => log.info({ path }, 'the signing keys are others now'),
  });

  /** Every key is loaded once: who compares keys compares the very objects. */
  function load({ key }: RingEntry): PrivateKey {
    const found = loaded.get(key.private) ?? loadKey(crypto, key);
    loaded.set(key.private, found);
    return found;
  }

  function importDropped(raw: string): PublicKey {
    const found = imported.get(raw) ?? crypto.importPublic('p256', fromHex(raw));
    imported.set(raw, found);
    return found;
  }

  /** A ring with a key that is none never counts. */
  function checked(ring: KeyRing): KeyRing {
    for (const entry of [...ring.identity, ...ring.certifier, ...ring.grant]) load(entry);
    for (const raw of ring.dropped) importDropped(raw);
    return ring;
  }

  const sign = (purpose: KeyPurpose): PrivateKey => load(signing(file.value[purpose], clock.wallMs()));
  const publicOf = (entries: readonly RingEntry[]): readonly PublicKey[] =>
    // The newest first: it signed most of what is shown.
    entries.map((entry) => load(entry).publicKey).toReversed();

  const identities = (): readonly PublicKey[] => publicOf(accepted(file.value, 'identity', clock.wallMs()));
  const renewableKeys = (): readonly PublicKey[] => publicOf(renewable(file.value, clock.wallMs()));
  const dropped = (): readonly PublicKey[] => file.value.dropped.map(importDropped);

  return {
    identity: () => sign('identity'),
    certifier: () => sign('certifier'),
    grant: () => sign('grant'),
    identities,
    renewable: renewableKeys,
    dropped,
    former() {
      const good = identities();
      return [...renewableKeys(), ...dropped()].filter((key) => !good.includes(key));
    },
    endorsement() {
      const next = nextCertifier(file.value, clock.wallMs());
      if (next === undefined) return undefined;
      const iat = Math.floor(clock.wallMs() / 1000);
      const certifier = base64url(load(next).publicKey.raw);
      return signEndorsement(crypto, sign('certifier'), {
        iss: installation,
        certifier,
        iat,
        exp: iat + ENDORSED_SECONDS,
      });
    },
    stop: () => file.stop(),
  };
}
