import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { appliedBy, logEnd, until } from './rig/progress.ts';
import { seededRandom } from './rig/random.ts';
import { type Rig, openRig } from './rig/rig.ts';
import { readVersions } from './rig/versions.ts';

/** `CHAOS_KILLS=20 CHAOS_SEED=7 …` repeats a long run. */
const kills = Number(process.env['CHAOS_KILLS'] ?? 3);
const seed = Number(process.env['CHAOS_SEED'] ?? Date.now() % 100_000);

interface Victim {
  /** Kills it and starts it again; a process is started by its supervisor. */
  readonly kill: () => Promise<void>;
  /** The victim's process: another one after every kill. */
  readonly life: () => number | undefined;
  /** Grows only when everything that needs the victim works again. */
  readonly progress: () => number;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe(`kill -9, ${kills} times each, seed ${seed}`, () => {
  let rig: Rig;
  const random = seededRandom(seed);
  let killed = 0;
  beforeAll(async () => {
    console.info(`chaos: seed ${seed}, ${kills} kills of each kind`);
    rig = await openRig(seed);
  });
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  const captured = () => logEnd(rig.logFile);
  const books = () => appliedBy(rig.logFile, 'books');
  const shelf = () => appliedBy(rig.logFile, 'shelf');
  const server = (name: 'mysql' | 'postgres' | 'redis', progress: () => number): Victim => ({
    kill: async () => {
      await rig.stack.servers[name].kill('SIGKILL');
      await pause(random.below(1000));
      await rig.stack.servers[name].start();
    },
    life: () => rig.stack.servers[name].pid,
    progress,
  });
  const daemon = (name: 'capture' | 'books' | 'shelf', progress: () => number): Victim => ({
    kill: async () => {
      const { starts } = rig[name];
      rig[name].kill('SIGKILL');
      await until(
        () => rig[name].starts > starts,
        10_000,
        () => `${name} is started again`,
      );
    },
    life: () => rig[name].pid,
    progress,
  });
  const victims: Record<string, Victim> = {
    capture: daemon('capture', captured),
    'apply to Postgres': daemon('books', books),
    'apply to Redis': daemon('shelf', shelf),
    Postgres: server('postgres', books),
    'Redis with its data': server('redis', shelf),
    MySQL: server('mysql', captured),
  };

  const killOnce = async (name: string, victim: Victim) => {
    const life = victim.life();
    expect(life, `${name} lives before it is killed`).toBeDefined();
    await victim.kill();
    expect(victim.life(), `${name} is another process now`).not.toBe(life);
    const before = victim.progress();
    await until(
      () => victim.progress() > before,
      60_000,
      async () => `${name} works again\n${await rig.logs()}`,
    );
    killed += 1;
  };

  for (const [name, victim] of Object.entries(victims)) {
    it(`G1 G3 G4 G10: ${name}`, { timeout: 60_000 + kills * 60_000 }, async () => {
      for (let round = 0; round < kills; round += 1) {
        await pause(random.below(1500));
        await killOnce(name, victim);
      }
    });
  }

  it('all of them at once, then target equals source without a person', { timeout: 300_000 }, async () => {
    await Promise.all(Object.entries(victims).map(([name, victim]) => killOnce(name, victim)));
    await rig.workload.stop();
    const comparison = await rig.settled(120_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(comparison.rows).toBeGreaterThan(100);
    expect(killed).toBe((kills + 1) * Object.keys(victims).length);
    for (const process of [rig.capture, rig.books, rig.shelf]) expect(process.ends, await rig.logs()).toEqual([]);
    const starts = `starts: capture ${rig.capture.starts}, books ${rig.books.starts}, shelf ${rig.shelf.starts}`;
    console.info(`chaos: ${killed} kills, ${rig.workload.transactions} transactions, ${comparison.rows} rows equal, ${starts}`);
  });

  it('G5: the versions of the log strictly increase in every partition, and offsets have no gap', async () => {
    const partitions = await readVersions(rig.logFile);
    expect(partitions.length).toBeGreaterThan(1);
    for (const { partition, records } of partitions) {
      expect(
        records.map(({ offset }) => offset),
        partition,
      ).toEqual(records.map((_, index) => index));
      const regress = records.findIndex(({ version }, index) => index > 0 && version <= (records[index - 1]?.version ?? ''));
      expect(regress, `${partition} goes back at this offset`).toBe(-1);
    }
  });
});
