import {
  MAX_BYTES,
  INPUT,
  INPUT_NAME,
  OTHER_NAME,
  OUTPUT_NAME,
  STORAGE_PLAYS,
  type StoragePlace,
} from '../storage/storage-plays.ts';
import { createKeyHolder } from '../peer/key-holder.ts';
import { type BrokerCase, casesOf } from './broker-case.ts';
import { getFor, putFor } from './player.ts';
import type { Scene } from './scene.ts';

/** The storage behind the broker, by the capabilities that come with a lease. */
export const STORAGE_CASES: readonly BrokerCase[] = STORAGE_PLAYS.map(
  ({ id, title, requirements, level, play }) =>
    casesOf(level)(`C-${id}`, `${title} (storage)`, requirements, async (scene) => play(await place(scene))),
);

async function place(scene: Scene): Promise<StoragePlace> {
  const agent = await scene.agent();
  const outputs = [
    { name: OUTPUT_NAME, maxBytes: MAX_BYTES },
    { name: OTHER_NAME, maxBytes: MAX_BYTES },
  ];
  const { capabilities } = await agent.takeJob(await scene.job({ inputs: { [INPUT_NAME]: INPUT }, outputs }));
  const { crypto } = scene.runtime;
  return {
    holder: agent.storage,
    stranger: createKeyHolder(scene.runtime, crypto.generate('ed25519'), scene.signal),
    input: getFor(capabilities, INPUT_NAME),
    output: putFor(capabilities, OUTPUT_NAME),
    other: putFor(capabilities, OTHER_NAME),
    signal: scene.signal,
  };
}
