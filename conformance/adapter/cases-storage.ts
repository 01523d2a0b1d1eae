import { bytesOf } from '../../protocol/encoding.ts';
import type { File, Grant } from '../../protocol/generated/types.ts';
import { expect } from '../expectation.ts';
import { createKeyHolder, sha256Of } from '../peer/key-holder.ts';
import {
  expectRefusal,
  INPUT,
  INPUT_NAME,
  MAX_BYTES,
  OTHER_NAME,
  OUTPUT_NAME,
  STORAGE_PLAYS,
  type StoragePlace,
} from '../storage/storage-plays.ts';
import { type AdapterCase, adapterCase } from './adapter-case.ts';
import { type AdapterScene, granted, type Granted } from './scene.ts';

const NEEDS = ['storage'] as const;
const BYTES = bytesOf('the events of one attempt\n');

/** Grants that no storage may take, whoever signed them (T-20). */
const EXCESSES: readonly (readonly [what: string, change: (nowSeconds: number) => Partial<Grant>])[] = [
  ['that has ended', (now) => ({ iat: now - 4000, exp: now - 3000 })],
  ['that has not begun', (now) => ({ iat: now + 3000, exp: now + 4000 })],
  [
    'for files over its ceiling',
    () => ({ put: [{ name: 'events.dat', maxBytes: 2 ** 40 }], totalBytes: 2 ** 40 }),
  ],
  [
    'for two files under one name',
    () => ({
      put: [
        { name: 'a', maxBytes: 1 },
        { name: 'A', maxBytes: 1 },
      ],
    }),
  ],
];

export const STORAGE_CASES: readonly AdapterCase[] = [
  adapterCase(
    'core',
    'T-51',
    'makes capabilities from a grant, verifies and registers what was uploaded',
    'T-12 T-13 T-14 C-1 C-2',
    NEEDS,
    async (scene) => {
      const { place, manifest } = await uploaded(scene);
      await verify(scene, place, manifest);
      await finalise(scene, place, manifest);
    },
  ),
  adapterCase(
    'full',
    'T-52',
    'takes no grant signed by another key',
    'T-20',
    NEEDS,
    async ({ stage, signal }) => {
      const { crypto } = stage.runtime;
      const { token } = stage.grant(crypto.generate('ed25519'), {}, crypto.generate('ed25519'));
      await (await stage.talk(signal)).expectRefused('NOT_AUTHORIZED', { op: 'grant', grant: token }, signal);
    },
  ),
  adapterCase(
    'full',
    'T-53',
    'takes no grant that was changed',
    'T-20 E-13',
    NEEDS,
    async ({ stage, signal }) => {
      const { claims, token } = stage.grant(stage.runtime.crypto.generate('ed25519'));
      const [head = '', , signature = ''] = token.split('.');
      const body = Buffer.from(JSON.stringify({ ...claims, totalBytes: 1 })).toString('base64url');
      await (await stage.talk(signal)).expectRefused(
        'NOT_AUTHORIZED',
        { op: 'grant', grant: `${head}.${body}.${signature}` },
        signal,
      );
    },
  ),
  ...EXCESSES.map(([what, change], index) =>
    adapterCase(
      'full',
      `T-54${index + 1}`,
      `takes no grant ${what}`,
      'T-20 E-14',
      NEEDS,
      async ({ stage, signal }) => {
        const now = Math.floor(stage.runtime.clock.wallMs() / 1000);
        const { token } = stage.grant(stage.runtime.crypto.generate('ed25519'), change(now));
        await (await stage.talk(signal)).expectRefused(
          'NOT_AUTHORIZED',
          { op: 'grant', grant: token },
          signal,
        );
      },
    ),
  ),
  adapterCase(
    'full',
    'T-55',
    'makes capabilities from one grant as often as it is asked',
    'T-5 T-12',
    NEEDS,
    async (scene) => {
      const { talk, token, capabilities } = await granted(scene);
      const again = await talk.askFor('capabilities', { op: 'grant', grant: token }, scene.signal);
      expect(again.capabilities.length === capabilities.length, 'it made others');
    },
  ),
  adapterCase(
    'full',
    'T-56',
    'says what does not match: a file that is missing',
    'T-13',
    NEEDS,
    async (scene) => {
      const place = await granted(scene);
      await mismatch(scene, place, [fileOf(BYTES)]);
    },
  ),
  adapterCase(
    'full',
    'T-57',
    'says what does not match: another digest, another size',
    'T-13',
    NEEDS,
    async (scene) => {
      for (const change of [{ sha256: '0'.repeat(64) }, { size: BYTES.length + 1 }]) {
        const { place, manifest } = await uploaded(scene);
        await mismatch(
          scene,
          place,
          manifest.map((file) => ({ ...file, ...change })),
        );
      }
    },
  ),
  adapterCase('full', 'T-58', 'closes an attempt when it is verified', 'T-13 C-18', NEEDS, async (scene) => {
    const { place, manifest } = await uploaded(scene);
    await verify(scene, place, manifest);
    await expectRefusal(place.holder.put(putOf(place), bytesOf('late')), 'ATTEMPT_CLOSED');
  }),
  adapterCase('full', 'T-59', 'verifies the same files again', 'T-5 T-13', NEEDS, async (scene) => {
    const { place, manifest } = await uploaded(scene);
    await verify(scene, place, manifest);
    await verify(scene, place, manifest);
  }),
  adapterCase(
    'full',
    'T-60',
    'registers a result once, however often it is asked',
    'T-5 T-14',
    NEEDS,
    async (scene) => {
      const { place, manifest } = await uploaded(scene);
      await verify(scene, place, manifest);
      await finalise(scene, place, manifest);
      await finalise(scene, place, manifest);
      await verify(scene, place, manifest);
    },
  ),
  adapterCase('full', 'T-61', 'discards nothing that was registered', 'T-15', NEEDS, async (scene) => {
    const { place, manifest } = await uploaded(scene);
    await finalise(scene, place, manifest);
    await place.talk.expectRefused('ATTEMPT_NOT_LIVE', { op: 'discard', ...ref(place) }, scene.signal);
    await finalise(scene, place, manifest);
  }),
  adapterCase('full', 'T-62', 'registers nothing that was discarded', 'T-14 T-15', NEEDS, async (scene) => {
    const { place, manifest } = await uploaded(scene);
    await place.talk.askFor('ok', { op: 'discard', ...ref(place) }, scene.signal);
    await place.talk.expectRefused(
      'ATTEMPT_NOT_LIVE',
      { op: 'finalise', ...ref(place), manifest },
      scene.signal,
    );
    await place.talk.expectRefused(
      'ATTEMPT_NOT_LIVE',
      { op: 'verify', ...ref(place), manifest },
      scene.signal,
    );
  }),
  adapterCase(
    'full',
    'T-63',
    'discards as often as it is asked, and what was never there',
    'T-5 T-15',
    NEEDS,
    async (scene) => {
      const { place } = await uploaded(scene);
      for (let times = 0; times < 3; times++)
        await place.talk.askFor('ok', { op: 'discard', ...ref(place) }, scene.signal);
      await expectRefusal(place.holder.put(putOf(place), BYTES), 'ATTEMPT_CLOSED');
    },
  ),
  adapterCase(
    'full',
    'T-64',
    'grants nothing more of a discarded attempt',
    'T-12 T-15',
    NEEDS,
    async (scene) => {
      const place = await granted(scene);
      await place.talk.askFor('ok', { op: 'discard', ...ref(place) }, scene.signal);
      await place.talk.expectRefused('ATTEMPT_NOT_LIVE', { op: 'grant', grant: place.token }, scene.signal);
    },
  ),
  adapterCase('full', 'T-65', 'registers no second attempt of a job', 'T-14', NEEDS, async (scene) => {
    const first = await uploaded(scene);
    const second = await uploaded(scene, { job: first.place.claims.job, attempt: 2 });
    await finalise(scene, first.place, first.manifest);
    const answer = await second.place.talk.ask(
      { op: 'finalise', ...ref(second.place), manifest: second.manifest },
      scene.signal,
    );
    expect(answer.result === 'refused', 'two attempts of one job are registered');
  }),
  ...STORAGE_PLAYS.map(({ id, title, requirements, level, play }) =>
    adapterCase(level, `C-${id}`, `${title} (files)`, requirements, ['storage', 'putInput'], async (scene) =>
      play(await storagePlace(scene)),
    ),
  ),
];

function ref({ claims: { job, attempt } }: Pick<Granted, 'claims'>) {
  return { job, attempt };
}

function fileOf(bytes: Uint8Array): File {
  return { name: OUTPUT_NAME, size: bytes.length, sha256: sha256Of(bytes) };
}

function putOf({ capabilities }: Granted, name = OUTPUT_NAME, verb: 'get' | 'put' = 'put') {
  const found = capabilities.find((capability) => capability.name === name && capability.verb === verb);
  expect(found !== undefined, `there is no capability to ${verb} ${name}`);
  return found;
}

async function uploaded(scene: AdapterScene, change: Partial<Grant> = {}) {
  const place = await granted(scene, change);
  return { place, manifest: [await place.holder.upload(putOf(place), BYTES)] };
}

async function verify({ signal }: AdapterScene, place: Granted, manifest: readonly File[]): Promise<void> {
  const { files } = await place.talk.askFor('verified', { op: 'verify', ...ref(place), manifest }, signal);
  expect(
    JSON.stringify(files.map(({ sha256 }) => sha256)) ===
      JSON.stringify(manifest.map(({ sha256 }) => sha256)),
    'the digests are others',
  );
}

async function mismatch({ signal }: AdapterScene, place: Granted, manifest: readonly File[]): Promise<void> {
  const { reason } = await place.talk.askFor('mismatch', { op: 'verify', ...ref(place), manifest }, signal);
  expect(reason.length > 0, 'it gives no reason');
}

async function finalise({ signal }: AdapterScene, place: Granted, manifest: readonly File[]): Promise<void> {
  await place.talk.askFor('ok', { op: 'finalise', ...ref(place), manifest }, signal);
}

async function storagePlace(scene: AdapterScene): Promise<StoragePlace> {
  const { stage, signal } = scene;
  const content = bytesOf(INPUT);
  await stage.subject.putInput?.(content, signal);
  const place = await granted(scene, {
    get: [{ name: INPUT_NAME, size: content.length, sha256: sha256Of(content) }],
    put: [OUTPUT_NAME, OTHER_NAME].map((name) => ({ name, maxBytes: MAX_BYTES })),
    totalBytes: 2 * MAX_BYTES,
  });
  return {
    holder: place.holder,
    stranger: createKeyHolder(stage.runtime, stage.runtime.crypto.generate('ed25519'), signal),
    input: putOf(place, INPUT_NAME, 'get'),
    output: putOf(place),
    other: putOf(place, OTHER_NAME),
    signal,
  };
}
