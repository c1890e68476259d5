import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appliedBy, logEnd, until } from './rig/progress.ts';
import { seededRandom } from './rig/random.ts';
import { type Rig, openRig } from './rig/rig.ts';

const kills = Number(process.env['CHAOS_KILLS'] ?? 3);
const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 100_000);

describe(`one crossfade run with its threads, killed ${kills} times, seed ${seed}`, () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig(seed, 'together');
  });
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  it('G1 G3 G4 G5: recovers every time, and the targets equal the source', { timeout: 120_000 + kills * 60_000 }, async () => {
    const random = seededRandom(seed);
    const progress = () => [logEnd(rig.logFile), appliedBy(rig.logFile, 'books'), appliedBy(rig.logFile, 'shelf')];
    for (let round = 0; round < kills; round += 1) {
      await new Promise((resolve) => setTimeout(resolve, random.below(1500)));
      const { starts } = rig.capture;
      rig.capture.kill('SIGKILL');
      await until(
        () => rig.capture.starts > starts,
        10_000,
        () => 'started again',
      );
      const before = progress();
      await until(
        () => progress().every((value, index) => value > (before[index] ?? 0)),
        60_000,
        () => rig.logs(),
      );
    }
    await rig.workload.stop();
    const comparison = await rig.settled(60_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(comparison.rows).toBeGreaterThan(100);
    expect(rig.capture.starts).toBe(kills + 1);
    expect(rig.capture.ends, await rig.logs()).toEqual([]);
  });
});
