import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bulkRows, kills, logKinds, seed } from './rig/knobs.ts';
import { brokenRules } from './rig/log-view.ts';
import { type Carrier, frozenInTheMiddle } from './rig/middle.ts';
import type { Daemon } from './rig/process.ts';
import { seededRandom } from './rig/random.ts';
import { type Rig, openRig } from './rig/rig.ts';
import { pause, until } from './rig/wait.ts';

interface Victim {
  /** Kills it and starts it again; a process is started by its supervisor. Who is frozen meanwhile wakes when it is dead. */
  readonly kill: (frozen?: Daemon) => Promise<void>;
  /** Whom to freeze so that the large transaction is in the middle where the victim has to do with it. */
  readonly carrier: Carrier;
  /** The victim's process: another one after every kill. */
  readonly life: () => number | undefined;
  /** Grows only when everything that needs the victim works again. */
  readonly progress: () => Promise<number>;
}

const names = ['capture', 'apply to Postgres', 'apply to Redis', 'Postgres', 'Redis with its data', 'MySQL', 'broker'] as const;
type Name = (typeof names)[number];

describe.each(logKinds)(`kill -9, ${kills} times each, seed ${seed}, log %s`, (log) => {
  let rig: Rig;
  const random = seededRandom(seed);
  let killed = 0;
  beforeAll(async () => {
    console.info(`chaos: log ${log}, seed ${seed}, ${kills} kills of each kind, ${bulkRows} rows in one transaction`);
    rig = await openRig(seed, { log });
  }, 300_000);
  afterAll(async () => {
    await rig?.[Symbol.asyncDispose]();
  });

  const server = (name: 'mysql' | 'postgres' | 'redis' | 'kafka', progress: () => Promise<number>): Victim => ({
    kill: async (frozen) => {
      await rig.stack.servers[name].kill('SIGKILL');
      frozen?.kill('SIGCONT');
      await pause(random.below(1000));
      await rig.stack.servers[name].start();
    },
    life: () => rig.stack.servers[name].pid,
    carrier: name === 'postgres' ? 'books' : 'capture',
    progress,
  });
  const daemon = (name: 'capture' | 'books' | 'shelf', progress: () => Promise<number>): Victim => ({
    kill: async (frozen) => {
      const { starts } = rig[name];
      rig[name].kill('SIGKILL');
      if (frozen !== rig[name]) frozen?.kill('SIGCONT');
      await until(
        () => rig[name].starts > starts,
        60_000,
        () => `${name} is started again`,
      );
    },
    life: () => rig[name].pid,
    carrier: name === 'books' ? 'books' : 'capture',
    progress,
  });
  const captured = () => rig.log.captured();
  const books = () => rig.applied.books();
  const shelf = () => rig.applied.shelf();
  const all: Record<Name, Victim> = {
    capture: daemon('capture', captured),
    'apply to Postgres': daemon('books', books),
    'apply to Redis': daemon('shelf', shelf),
    Postgres: server('postgres', books),
    'Redis with its data': server('redis', shelf),
    MySQL: server('mysql', captured),
    broker: server('kafka', books),
  };
  const victims = names.filter((name) => name !== 'broker' || log === 'kafka');

  const killOnce = async (name: Name, frozen?: Daemon) => {
    const victim = all[name];
    const life = victim.life();
    expect(life, `${name} lives before it is killed`).toBeDefined();
    await victim.kill(frozen);
    expect(victim.life(), `${name} is another process now`).not.toBe(life);
    let before: number | undefined;
    await until(
      async () => {
        const now = await victim.progress();
        before ??= now;
        return now > before;
      },
      240_000,
      async () => `${name} works again\n${await rig.logs()}`,
    );
    killed += 1;
  };

  for (const name of victims) {
    it(`G1 G3 G4 G10: ${name}, in the middle of a large transaction too`, { timeout: 300_000 + kills * 240_000 }, async () => {
      const large = random.below(kills);
      for (let round = 0; round < kills; round += 1) {
        await pause(random.below(1500));
        const frozen = round === large ? await frozenInTheMiddle(rig, all[name].carrier, bulkRows, 0.6 * random.next()) : undefined;
        await killOnce(name, frozen);
      }
    });
  }

  it('all of them at once, then target equals source without a person', { timeout: 900_000 }, async () => {
    const bulk = rig.workload.bulk(bulkRows);
    await Promise.all(victims.map((name) => killOnce(name)));
    await bulk;
    await rig.workload.stop();
    const comparison = await rig.settled(300_000);
    expect(comparison.differences.slice(0, 10), await rig.logs()).toEqual([]);
    expect(comparison.rows).toBeGreaterThan(bulkRows);
    expect(killed).toBe((kills + 1) * victims.length);
    expect(rig.ends(), await rig.logs()).toEqual([]);
    const starts = `starts: capture ${rig.capture.starts}, books ${rig.books.starts}, shelf ${rig.shelf.starts}`;
    console.info(`chaos: ${killed} kills, ${rig.workload.transactions} transactions, ${comparison.rows} rows equal, ${starts}`);
  });

  it('G5: the versions of the log strictly increase in every partition, and offsets have no gap', { timeout: 300_000 }, async () => {
    const partitions = await rig.log.records();
    expect(partitions.length).toBeGreaterThan(1);
    expect(brokenRules(partitions).slice(0, 10)).toEqual([]);
  });
});
