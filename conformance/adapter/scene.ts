import type { Grant } from '../../protocol/generated/types.ts';
import type { PrivateKey } from '../../protocol/runtime/runtime.ts';
import type { AskBody } from '../../protocol/session/trusted-link.ts';
import { expect } from '../expectation.ts';
import { createKeyHolder, type KeyHolder } from '../peer/key-holder.ts';
import type { AdapterStage } from './stage.ts';
import type { Talk } from './talk.ts';

/** What one case acts on. */
export interface AdapterScene {
  readonly stage: AdapterStage;
  readonly signal: AbortSignal;
}

/** An attempt that was granted, and its files. */
export interface Granted {
  readonly talk: Talk;
  readonly claims: Grant;
  readonly token: string;
  readonly holder: KeyHolder;
  readonly capabilities: readonly {
    readonly verb: 'get' | 'put';
    readonly name: string;
    readonly url: string;
    readonly token: string;
  }[];
}

export async function granted(scene: AdapterScene, change: Partial<Grant> = {}): Promise<Granted> {
  const { stage, signal } = scene;
  const talk = await stage.talk(signal);
  const key: PrivateKey = stage.runtime.crypto.generate('ed25519');
  const { claims, token } = stage.grant(key, change);
  const { capabilities } = await talk.askFor('capabilities', { op: 'grant', grant: token }, signal);
  return { talk, claims, token, capabilities, holder: createKeyHolder(stage.runtime, key, signal) };
}

/** A right word is answered: whatever came before did no harm. */
export async function expectServing({ stage, signal }: AdapterScene): Promise<void> {
  const talk = await stage.talk(signal);
  await talk.ask(harmless(stage), signal);
  expect(talk.violations.length === 0, talk.violations.join('; '));
}

/** What either kind of adapter answers, whatever the answer is. */
export function harmless({ subject, queue }: AdapterStage): AskBody {
  return subject.kind === 'job'
    ? { op: 'fetch', queue: `${queue}-empty`, max: 1, accepted: [] }
    : { op: 'discard', job: 'a'.repeat(26), attempt: 1 };
}
