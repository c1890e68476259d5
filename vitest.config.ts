import { defineConfig } from 'vitest/config';

const globalSetup = ['test/support/global-setup.ts'];
/** One project per kind of test; what needs real servers shares one stack through the global set-up. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/tidy.test.ts'] } },
      { test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], testTimeout: 300_000 } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], globalSetup, testTimeout: 60_000, hookTimeout: 120_000 } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], globalSetup, testTimeout: 60_000, hookTimeout: 120_000 } },
      { test: { name: 'chaos', include: ['test/chaos/**/*.test.ts'], testTimeout: 600_000, hookTimeout: 180_000, fileParallelism: false } },
    ],
  },
});
