import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

const globalSetup = ['test/support/global-setup.ts'];
/** Chaos that bounds a time or a memory: a neighbour would be measured with it. */
const measured = ['captures', 'lag', 'lag-kafka', 'memory', 'stalled'].map((name) => `test/chaos/${name}.test.ts`);
const chaos = { testTimeout: 600_000, hookTimeout: 300_000 };
/** Mostly they wait, for servers and for processes: more of them at a time than a small machine has cores. */
const together = { maxWorkers: Math.min(8, Math.max(3, availableParallelism())), sequence: { groupOrder: 1 } };
const withServers = { ...together, globalSetup, testTimeout: 180_000, hookTimeout: 300_000 };

/** One project per kind of test; what needs real servers shares one stack through the global set-up. Groups follow one another. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts', 'test/tidy.test.ts'], ...together } },
      { test: { name: 'simulation', include: ['test/simulation/**/*.test.ts'], testTimeout: 300_000, ...together } },
      { test: { name: 'contract', include: ['test/contract/**/*.test.ts'], ...withServers } },
      { test: { name: 'integration', include: ['test/integration/**/*.test.ts'], ...withServers } },
      // Two at a time: each waits for sessions that run out and for servers that start, and has deadlines, but no bounds.
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          exclude: measured,
          ...chaos,
          maxWorkers: 2,
          sequence: { groupOrder: 2 },
        },
      },
      { test: { name: 'chaos-alone', include: measured, ...chaos, maxWorkers: 1, sequence: { groupOrder: 3 } } },
    ],
  },
});
