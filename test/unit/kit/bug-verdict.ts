import { FRAMEWORK_CASES, playCase } from '../../conformance/framework-adapter.ts';
import { openHttpQueueFixture } from './http-queue-fixture.ts';
import type { PlantedBug } from './planted-bugs.ts';

/** What the case that should find a bug says of it; whatever is no finding of its own is told as it is. */
export async function verdictOn({ caughtBy, create }: PlantedBug): Promise<unknown> {
  const found = FRAMEWORK_CASES.find(({ title }) => title.startsWith(caughtBy));
  if (found === undefined) return 'no such case';
  return playCase(found, (opening) => openHttpQueueFixture(create, opening)).then(
    () => 'nothing found',
    (caught: unknown) => (caught instanceof Error && caught.name === 'AssertionError' ? 'found' : caught),
  );
}
