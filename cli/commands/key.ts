import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { KEY_PURPOSES, type KeyPurpose, type KeyRing, stateOf } from '../../broker/keys/key-ring.ts';
import { hex } from '../../protocol/encoding.ts';
import { loadKey } from '../../protocol/runtime/key-file.ts';
import { createCrypto } from '../../protocol/runtime/node-runtime.ts';
import type { Crypto } from '../../protocol/runtime/runtime.ts';
import { EXIT, show } from '../command-line.ts';
import { generatedBroker, readRing } from '../keys/key-files.ts';
import { purposesOf, rollKeys } from '../keys/roll-keys.ts';
import { action, type CommonOptions, countOf, outputOf, withCommon } from './common.ts';

interface RollCommandOptions extends CommonOptions {
  readonly emergency?: boolean;
  readonly lead: string;
}

/** One key as a list shows it; nothing of it is secret. */
interface ShownKey {
  readonly purpose: KeyPurpose;
  /** The first half of the SHA-256 of its public half. */
  readonly fingerprint: string;
  readonly state: 'signs' | 'counts' | 'follows' | 'over' | 'dropped';
  /** Times as text; null where none is set. */
  readonly signsFrom: string | null;
  readonly countsUntil: string | null;
}

const LEAD_SECONDS = '60';

/** `co-pilot key …`: the keys that sign for an installation. */
export function addKeyCommands(program: Command): void {
  const key = program.command('key').description('the keys that sign identities, certificates and grants');
  withCommon(key.command('list'))
    .description('which keys sign, which count still, and which follow')
    .action(action(list));
  withCommon(key.command('roll').argument('<purpose>', `${KEY_PURPOSES.join(', ')}, or all`))
    .description('make a new key; the old one counts until what it signed has ended')
    .option('--emergency', 'the old key counts no more from now on')
    .option(
      '--lead <seconds>',
      'when the new key begins to sign, so that all who check know it',
      LEAD_SECONDS,
    )
    .action(action(rollOne));
}

async function list(options: CommonOptions): Promise<number> {
  const directory = resolve(options.data);
  const ring = await readRing(directory, await generatedBroker(directory));
  const keys = shown(ring, createCrypto(), Date.now());
  show(outputOf(options), { keys }, () => keys.map(lineOf));
  return EXIT.ok;
}

async function rollOne(purpose: string, options: RollCommandOptions): Promise<number> {
  const crypto = createCrypto();
  const nowMs = Date.now();
  const { ring, written } = await rollKeys({
    directory: resolve(options.data),
    purposes: purposesOf(purpose),
    crypto,
    nowMs,
    isEmergency: options.emergency === true,
    leadMs: countOf(options.lead, '--lead') * 1000,
  });
  const keys = shown(ring, crypto, nowMs);
  show(outputOf(options), { keys, written }, () => [
    ...keys.map(lineOf),
    ...written.map((path) => `written: ${path}`),
    'Parts on this machine take it over within a second. Copy keys.json to brokers on other hosts, and trust.json to adapters.',
  ]);
  return EXIT.ok;
}

function shown(ring: KeyRing, crypto: Crypto, nowMs: number): readonly ShownKey[] {
  const kept = KEY_PURPOSES.flatMap((purpose) =>
    ring[purpose].map((entry): ShownKey => {
      const { state, countsUntilMs } = stateOf(ring, purpose, entry, nowMs);
      return {
        purpose,
        fingerprint: fingerprint(hex(loadKey(crypto, entry.key).publicKey.raw)),
        state,
        signsFrom: entry.signsFromMs === 0 ? null : textOf(entry.signsFromMs),
        countsUntil: countsUntilMs === null ? null : textOf(countsUntilMs),
      };
    }),
  );
  const dropped = ring.dropped.map(
    (key): ShownKey => ({
      purpose: 'identity',
      fingerprint: fingerprint(key),
      state: 'dropped',
      signsFrom: null,
      countsUntil: null,
    }),
  );
  return [...kept, ...dropped];
}

function fingerprint(publicKey: string): string {
  return createHash('sha256').update(publicKey, 'hex').digest('hex').slice(0, 32);
}

function textOf(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

function lineOf({ purpose, fingerprint: print, state, signsFrom, countsUntil }: ShownKey): string {
  const from = signsFrom === null ? '' : ` from ${signsFrom}`;
  const until = countsUntil === null ? '' : ` until ${countsUntil}`;
  return `${purpose.padEnd(9)} ${print} ${state}${from}${until}`;
}
