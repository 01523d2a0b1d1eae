import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CodeStore, CodeTerms } from '../../broker/enrolment/code-store.ts';

/** One store of codes; what it keeps outlives the handles opened on it where `isDurable`. */
export interface CodeStoreUnderTest {
  open(): Promise<CodeStore>;
  dispose(): Promise<void>;
}

export interface CodeStoreManifest {
  readonly isDurable: boolean;
}

const NOW_MS = Date.UTC(2026, 0, 1);
const LATER_MS = NOW_MS + 3_600_000;
const CODE = 'c0'.repeat(32);
const OTHER = 'c1'.repeat(32);
const terms: CodeTerms = { owner: 'somebody', site: 'home', tier: 'untrusted' };
const refused = { kind: 'refused' };
const spent = { kind: 'spent', terms };

/** What every store of one-use codes promises (broker/enrolment/code-store.ts). */
export function codeStoreConformance(
  name: string,
  manifest: CodeStoreManifest,
  create: () => CodeStoreUnderTest,
): void {
  describe(`code store contract: ${name}`, () => {
    let subject: CodeStoreUnderTest;
    let store: CodeStore;
    beforeEach(async () => {
      subject = create();
      store = await subject.open();
    });
    afterEach(async () => {
      await store.close();
      await subject.dispose();
    });

    const reopen = async (): Promise<void> => {
      await store.close();
      store = await subject.open();
    };

    it('knows no code that was not added', async () => {
      expect(await store.spend(CODE, 'key', NOW_MS)).toEqual(refused);
      await store.add(OTHER, terms, LATER_MS);
      expect(await store.spend(CODE, 'key', NOW_MS)).toEqual(refused);
    });

    it.each(['untrusted', 'semi-trusted', 'trusted'] as const)(
      'answers the terms of a code, %s',
      async (tier) => {
        await store.add(CODE, { ...terms, tier }, LATER_MS);
        expect(await store.spend(CODE, 'key', NOW_MS)).toEqual({ kind: 'spent', terms: { ...terms, tier } });
      },
    );

    it('lets the key that spent it spend it again, and no other', async () => {
      await store.add(CODE, terms, LATER_MS);
      await store.spend(CODE, 'key', NOW_MS);
      expect(await store.spend(CODE, 'other', NOW_MS)).toEqual(refused);
      expect(await store.spend(CODE, '', NOW_MS)).toEqual(refused);
      expect(await store.spend(CODE, 'key', NOW_MS + 1)).toEqual(spent);
    });

    it('ends a code with its time, to the millisecond, for who spent it as well', async () => {
      await store.add(CODE, terms, LATER_MS);
      await store.add(OTHER, terms, LATER_MS);
      expect(await store.spend(CODE, 'key', LATER_MS - 1)).toEqual(spent);
      expect(await store.spend(CODE, 'key', LATER_MS)).toEqual(refused);
      expect(await store.spend(OTHER, 'key', LATER_MS)).toEqual(refused);
    });

    it('is not spent by whoever was refused', async () => {
      await store.add(CODE, terms, LATER_MS);
      expect(await store.spend(CODE, 'late', LATER_MS)).toEqual(refused);
      expect(await store.spend(CODE, 'key', NOW_MS)).toEqual(spent);
    });

    it('of many that race for one code one wins, and every repeat of the winner too', async () => {
      await store.add(CODE, terms, LATER_MS);
      await store.add(OTHER, terms, LATER_MS);
      const keys = Array.from({ length: 100 }, (_, at) => `key-${at}`);
      const race = async () => Promise.all(keys.map((key) => store.spend(CODE, key, NOW_MS)));
      const first = await race();
      expect(first.filter(({ kind }) => kind === 'spent')).toHaveLength(1);
      expect((await race()).map(({ kind }) => kind)).toEqual(first.map(({ kind }) => kind));
      expect(await store.spend(OTHER, 'key-99', NOW_MS)).toEqual(spent);
    });

    it('I7 keeps texts as they are, whatever they look like', async () => {
      const texts = ["'; DROP TABLE code; --", '__proto__', 'constructor', '%', 'Jöb 🎲', '\n"'];
      for (const text of texts) await store.add(text, { ...terms, owner: text, site: text }, LATER_MS);
      for (const text of texts)
        expect(await store.spend(text, text, NOW_MS)).toEqual({
          kind: 'spent',
          terms: { ...terms, owner: text, site: text },
        });
      expect(await store.spend(texts[0]!, texts[1]!, NOW_MS)).toEqual(refused);
    });

    if (!manifest.isDurable) return;

    it('knows after it was opened again what was added and who spent what', async () => {
      await store.add(CODE, terms, LATER_MS);
      await store.add(OTHER, terms, LATER_MS);
      await store.spend(CODE, 'key', NOW_MS);
      await reopen();
      expect(await store.spend(CODE, 'other', NOW_MS)).toEqual(refused);
      expect(await store.spend(CODE, 'key', NOW_MS)).toEqual(spent);
      expect(await store.spend(OTHER, 'other', NOW_MS)).toEqual(spent);
      await reopen();
      expect(await store.spend(OTHER, 'key', NOW_MS)).toEqual(refused);
    });

    it('is one store for all that have it open: one wins', async () => {
      const beside = await subject.open();
      await store.add(CODE, terms, LATER_MS);
      const answers = await Promise.all([
        beside.spend(CODE, 'one', NOW_MS),
        store.spend(CODE, 'other', NOW_MS),
      ]);
      await beside.close();
      expect(answers.map(({ kind }) => kind).sort()).toEqual(['refused', 'spent']);
    });
  });
}
