import { describe, expect, it } from 'vitest';
import { createBrokerHand } from './framework/broker-hand.ts';
import type { FrameworkCase } from './framework/case.ts';
import { END_CASES } from './framework/cases-end.ts';
import { FETCH_CASES } from './framework/cases-fetch.ts';
import { NEWS_CASES } from './framework/cases-news.ts';
import { TRUST_CASES } from './framework/cases-trust.ts';
import type { FrameworkFixture, OpenFixture } from './framework/fixture.ts';

/** Every promise of an adapter of a framework (docs/adapter-author.md), each tried by one case. */
export const FRAMEWORK_CASES: readonly FrameworkCase[] = [
  ...FETCH_CASES,
  ...NEWS_CASES,
  ...END_CASES,
  ...TRUST_CASES,
];

/** Holds an adapter to every promise, over the double of its framework. */
export function frameworkAdapterConformance(name: string, open: OpenFixture): void {
  describe(`framework adapter contract: ${name}`, () => {
    it.each(FRAMEWORK_CASES.map((one) => [one.title, one] as const))('%s', async (_title, one) => {
      await playCase(one, open);
    });
  });
}

/** Rejects where the promise does not hold. What a case needs and the framework's wire cannot have is not played. */
export async function playCase(one: FrameworkCase, open: OpenFixture): Promise<void> {
  const fixture = await open(one.opening);
  try {
    const cannot = fixture.cannot ?? {};
    if (one.needs?.some((fault) => cannot[fault] !== undefined) === true) return;
    const broker = createBrokerHand(fixture);
    await one.play({ fixture, broker });
    expectNoCanary(fixture, broker.written());
  } finally {
    await fixture.close();
  }
}

/** I10, in every case. */
function expectNoCanary(fixture: FrameworkFixture, told: string): void {
  const written = fixture.written() + told;
  for (const canary of fixture.canaries) expect(written.includes(canary)).toBe(false);
}
