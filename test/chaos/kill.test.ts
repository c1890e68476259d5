import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from './rig/random.ts';
import { type Rig, openRig } from './rig/rig.ts';
import { readVersions } from './rig/versions.ts';

/** `CHAOS_KILLS=20 CHAOS_SEED=7 …` repeats a long run. */
const kills = Number(process.env['CHAOS_KILLS'] ?? 3);
const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 100_000);

describe(`kill -9, ${kills} times each, seed ${seed}`, () => {
  let rig: Rig;
  const random = seededRandom(seed);
  beforeAll(async () => {
    console.info(`chaos: seed ${seed}, ${kills} kills of each kind`);
    rig = await openRig(seed);
  });
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const rounds = async (kill: () => Promise<void>) => {
    for (let round = 0; round < kills; round += 1) {
      await pause(300 + random.below(2500));
      await kill();
    }
  };
  const server = (name: 'mysql' | 'postgres' | 'redis') => async () => {
    await rig.stack.servers[name].kill('SIGKILL');
    await pause(random.below(1500));
    await rig.stack.servers[name].start();
  };
  const victims: Record<string, () => Promise<void>> = {
    capture: async () => rig.capture.kill('SIGKILL'),
    'apply to Postgres': async () => rig.books.kill('SIGKILL'),
    'apply to Redis': async () => rig.shelf.kill('SIGKILL'),
    Postgres: server('postgres'),
    'Redis with its data': server('redis'),
    MySQL: server('mysql'),
  };
  for (const [name, kill] of Object.entries(victims)) {
    it(`G1 G3 G4 G10: ${name}`, { timeout: 60_000 + kills * 15_000 }, async () => {
      const before = rig.workload.transactions;
      await rounds(kill);
      expect(rig.workload.transactions, 'the workload went on').toBeGreaterThan(before);
    });
  }

  it('all of them at once, then target equals source without a person', { timeout: 300_000 }, async () => {
    await Promise.all(Object.values(victims).map((kill) => kill()));
    await pause(3000);
    await rig.workload.stop();
    const comparison = await rig.settled(120_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(comparison.rows).toBeGreaterThan(100);
    for (const daemon of [rig.capture, rig.books, rig.shelf]) expect(daemon.ends, await rig.logs()).toEqual([]);
    console.info(
      `chaos: ${rig.workload.transactions} transactions, ${comparison.rows} rows equal, starts: capture ${rig.capture.starts}, books ${rig.books.starts}, shelf ${rig.shelf.starts}`,
    );
  });

  it('G5: the versions of the log strictly increase in every partition, and offsets have no gap', async () => {
    const partitions = await readVersions(rig.logFile);
    expect(partitions.length).toBeGreaterThan(1);
    for (const { partition, records } of partitions) {
      for (const [index, record] of records.entries()) {
        expect(record.offset, partition).toBe(index);
        const before = records[index - 1];
        if (before !== undefined && record.version <= before.version)
          expect.fail(`${partition} offset ${record.offset}: ${record.version} after ${before.version}`);
      }
    }
  });
});
