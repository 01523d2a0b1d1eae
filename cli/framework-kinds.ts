import type { FrameworkKind } from '../adapters/jobs/kit/framework-kind.ts';

/** Every kind of framework, loaded where it is used. */
export const FRAMEWORK_KINDS: Readonly<Record<string, () => Promise<FrameworkKind>>> = {
  alien: () => import('../adapters/jobs/alien/main.ts'),
  'cms-at-home': async () => (await import('./cms-at-home.ts')).CMS_AT_HOME,
  crab: () => import('../adapters/jobs/crab/main.ts'),
  'http-queue': () => import('../adapters/jobs/http-queue/main.ts'),
  panda: () => import('../adapters/jobs/panda/main.ts'),
};
