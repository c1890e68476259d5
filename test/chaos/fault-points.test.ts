import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FaultPoint } from '../../src/core/fault-point.ts';
import { kills, logKinds, seed } from './rig/knobs.ts';
import { brokenRules } from './rig/log-view.ts';
import { type Rig, openRig } from './rig/rig.ts';

const rounds = Math.max(1, Math.floor(kills / 5));

/** Death exactly between "done" and "recorded", on both sides of every step. */
describe.each(logKinds)(`kill -9 at every fault point, seed ${seed}, log %s`, (log) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await openRig(seed, { log });
  }, 300_000);
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  const where: Record<'capture' | 'books' | 'shelf', readonly FaultPoint[]> = {
    capture: ['capture:read', 'log:before-commit', 'log:after-commit', 'capture:appended', 'capture:completed'],
    books: ['apply:claimed', 'apply:read', 'sink:before-commit', 'sink:after-commit', 'apply:written'],
    shelf: ['apply:claimed', 'apply:read', 'sink:before-commit', 'sink:after-commit', 'apply:written'],
  };
  // While capture dies at its points nothing new comes to the others: on a slow machine they wait for long.
  const dies = async (process: keyof typeof where) => {
    for (let round = 0; round < rounds; round += 1) {
      for (const point of where[process]) {
        const ordered = rig.faults(process).order(point, 'SIGKILL', 600_000);
        // A claim happens only at a start.
        if (point === 'apply:claimed') rig[process].kill('SIGKILL');
        expect(await ordered, `${process} passed ${point}\n${await rig.logs()}`).toBe(true);
      }
    }
  };

  it('G1 G3 G4 G5: capture, books and shelf die at each of theirs, at the same time', { timeout: 900_000 + rounds * 900_000 }, async () => {
    await Promise.all([dies('capture'), dies('books'), dies('shelf')]);
    for (const process of ['capture', 'books', 'shelf'] as const)
      expect(rig[process].starts, process).toBeGreaterThanOrEqual(rounds * where[process].length);
  });

  it('target equals source, and the log has every version once', { timeout: 300_000 }, async () => {
    await rig.workload.stop();
    const comparison = await rig.settled(240_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(brokenRules(await rig.log.records()).slice(0, 10)).toEqual([]);
    expect(rig.ends(), await rig.logs()).toEqual([]);
  });
});
