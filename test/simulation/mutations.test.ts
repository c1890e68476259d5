/** The simulation is only worth what it finds: each of these broken builds must be caught. */
import { expect, test } from 'vitest';
import { brokenBuilds } from './breakage.ts';
import { runHistory } from './history.ts';

const limit = 200;

test.each(Object.entries(brokenBuilds))(`a build that %s is caught within ${limit} histories`, async (name, build) => {
  for (let seed = 1; seed <= limit; seed += 1) {
    const { violations } = await runHistory(seed, build);
    if (violations.length === 0) continue;
    process.stdout.write(`caught in history ${seed}: a build that ${name}: ${violations[0]}\n`);
    expect(violations.length).toBeGreaterThan(0);
    return;
  }
  expect.fail(`${limit} histories did not find it`);
});
