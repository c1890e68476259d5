import { describe, expect, it } from 'vitest';
import { kills, logKinds, seed } from './rig/knobs.ts';
import { brokenRules } from './rig/log-view.ts';
import { seededRandom } from './rig/random.ts';
import { openRig } from './rig/rig.ts';
import { pause, until } from './rig/wait.ts';

describe.each(logKinds)(`one crossfade run with its threads, killed ${kills} times, seed ${seed}, log %s`, (log) => {
  it('G1 G3 G4 G5: recovers every time, and the targets equal the source', { timeout: 900_000 + kills * 240_000 }, async () => {
    await using rig = await openRig(seed, { log, processes: 'together' });
    const random = seededRandom(seed);
    const progress = () => Promise.all([rig.log.captured(), rig.applied.books(), rig.applied.shelf()]);
    for (let round = 0; round < kills; round += 1) {
      await pause(random.below(1500));
      const { starts } = rig.capture;
      rig.capture.kill('SIGKILL');
      await until(
        () => rig.capture.starts > starts,
        60_000,
        () => 'started again',
      );
      let before: readonly number[] | undefined;
      await until(
        async () => {
          const now = await progress();
          before ??= now;
          return now.every((value, index) => value > (before?.[index] ?? 0));
        },
        240_000,
        () => rig.logs(),
      );
    }
    await rig.workload.stop();
    const comparison = await rig.settled(240_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(comparison.rows).toBeGreaterThan(100);
    expect(brokenRules(await rig.log.records())).toEqual([]);
    expect(rig.capture.starts).toBe(kills + 1);
    expect(rig.ends(), await rig.logs()).toEqual([]);
  });
});
