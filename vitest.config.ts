import { defineConfig } from 'vitest/config';

const project = (name: string, include: string, extra: object = {}) => ({
  test: { name, include: [include], environment: 'node', testTimeout: 20_000, ...extra },
});

export default defineConfig({
  test: {
    projects: [
      project('unit', 'test/unit/**/*.test.ts'),
      project('integration', 'test/integration/**/*.test.ts', { testTimeout: 60_000, hookTimeout: 60_000 }),
      project('simulation', 'test/simulation/**/*.test.ts', { testTimeout: 300_000 }),
      project('e2e', 'test/e2e/**/*.test.ts', { testTimeout: 300_000, hookTimeout: 120_000, fileParallelism: false }),
    ],
  },
});
