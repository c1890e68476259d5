/** Each death on the way from source to target, with a clock of its own: the lag grows all the while and comes back. */
import { describe, expect, test } from 'vitest';
import type { CompleteRecord, Log, LogRecord } from '../../src/core/log-port.ts';
import type { LogState, PartTrouble } from '../../src/core/log-state.ts';
import { LagWatch } from '../../src/runtime/lag-watch.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

const us = (ms: number) => ms * 1000;

/** A log, a source that commits at will, an apply: each can be dead. */
class World {
  nowMs = 1_700_000_000_000;
  readonly observed = makeMeters();
  readonly meters = this.observed.apply('orders');
  /** Commit times of the records in the one partition, by offset. */
  readonly records: number[] = [];
  complete: CompleteRecord | undefined;
  readonly groups = new Map<string, Map<string, number>>();
  readonly troubles = new Map<string, PartTrouble>();
  isStarted = true;
  asked = 0;
  logAnswers = true;
  readonly watch: LagWatch;
  readonly #log: Pick<Log, 'state' | 'at'> = { state: async () => this.#state(), at: async (_, offset) => this.#at(offset) };

  constructor(apply: 'here' | 'elsewhere' = 'here') {
    if (apply === 'here') this.observed.state.state('apply orders', 'running');
    this.watch = new LagWatch({
      services: [{ name: 'orders', partitions: [{ partition: 'p', tables: ['shop.orders'] }] }],
      totals: this.observed.totals,
      openLog: () => Promise.reject(new Error('not here')),
      now: () => this.nowMs,
    });
  }

  commit(): void {
    this.records.push(us(this.nowMs));
  }
  /** Capture vouches for all up to now. */
  completes(): void {
    this.complete = { position: 'P', throughUs: us(this.nowMs), writtenAtMs: this.nowMs, term: 1, ends: { p: this.records.length } };
  }
  applies(): void {
    const end = this.records.length;
    this.meters.stands('p', end);
    this.meters.lag('p', this.records.at(-1) ?? 0, 0);
    this.tells(end);
  }
  tells(offset: number): void {
    this.groups.set('orders', new Map([['p', offset]]));
  }
  async looks(): Promise<void> {
    if (this.logAnswers) await this.watch.look(this.#log);
  }
  lag(): { seconds: number | undefined; changes: number } {
    const [lag] = this.watch.lags(this.nowMs);
    return { seconds: lag?.seconds, changes: lag?.changes ?? -1 };
  }
  /** A minute in which every second `alive` does what still lives; answers the lag of each. */
  async minute(alive: () => void): Promise<(number | undefined)[]> {
    const seen: (number | undefined)[] = [];
    for (let second = 0; second < 60; second += 1) {
      this.nowMs += 1000;
      alive();
      await this.looks();
      seen.push(this.lag().seconds);
    }
    return seen;
  }

  #state(): LogState {
    const start = { position: 'S', writtenAtMs: 1_699_999_999_000 };
    return {
      partitions: new Map([['p', { logId: 'L', startOffset: 0, endOffset: this.records.length }]]),
      groups: this.groups,
      members: new Map(),
      troubles: this.troubles,
      waits: new Map(),
      ...(this.isStarted ? { start } : {}),
      ...(this.complete ? { complete: this.complete } : {}),
    };
  }
  #at(offset: number): LogRecord | undefined {
    this.asked += 1;
    const committedAtUs = this.records[offset];
    return committedAtUs === undefined ? undefined : ({ offset, committedAtUs } as LogRecord);
  }
}

async function well(apply: 'here' | 'elsewhere' = 'here'): Promise<World> {
  const world = new World(apply);
  world.commit();
  if (apply === 'here') world.applies();
  else world.tells(1);
  world.completes();
  await world.looks();
  expect(world.lag()).toEqual({ seconds: 0, changes: 0 });
  return world;
}
const rises = (seen: readonly (number | undefined)[]) => {
  for (const [at, seconds] of seen.entries()) expect(seconds ?? -1).toBeGreaterThan(seen[at - 1] ?? -1);
  expect(seen.at(-1)).toBeGreaterThan(58);
  expect(seen.at(-1)).toBeLessThan(62);
};
const nearZero = (seen: readonly (number | undefined)[]) =>
  expect(Math.max(...seen.map((seconds) => seconds ?? 99))).toBeLessThanOrEqual(1);

describe('G11: lag at every death', () => {
  test('an idle source is near zero, all the while', async () => {
    const world = await well();
    nearZero(await world.minute(() => world.completes()));
  });
  test('a busy pipeline is near zero', async () => {
    const world = await well();
    const seen = await world.minute(() => {
      world.commit();
      world.applies();
      world.completes();
    });
    nearZero(seen);
  });
  test.each(['here', 'elsewhere'] as const)('capture or source dead, nothing left to apply, apply %s', async (apply) => {
    const world = await well(apply);
    rises(await world.minute(() => {}));
    world.completes();
    await world.looks();
    expect(world.lag().seconds).toBe(0);
  });
  test('capture dead while the log still answers, read or not', async () => {
    const world = await well();
    world.logAnswers = false;
    rises(await world.minute(() => world.completes()));
    world.logAnswers = true;
    world.completes();
    await world.looks();
    expect(world.lag().seconds).toBe(0);
  });
  test('apply frozen: its own word stays, the log goes on', async () => {
    const world = await well();
    world.nowMs += 1000;
    world.commit();
    const seen = await world.minute(() => {
      world.commit();
      world.completes();
    });
    rises(seen);
    expect(world.lag().changes).toBe(61);
    world.applies();
    world.completes();
    await world.looks();
    expect(world.lag()).toEqual({ seconds: 0, changes: 0 });
  });
  test('apply stuck in a write: the change in its hand ages', async () => {
    const world = await well();
    world.commit();
    world.meters.lag('p', us(world.nowMs), 1);
    rises(await world.minute(() => world.completes()));
  });
  test('apply dead, in another process: the log tells how far it came', async () => {
    const world = await well('elsewhere');
    world.nowMs += 1000;
    world.commit();
    rises(await world.minute(() => world.completes()));
    // As long as it does not move, the log is asked once.
    expect(world.asked).toBeLessThanOrEqual(2);
    world.tells(2);
    world.completes();
    await world.looks();
    expect(world.lag()).toEqual({ seconds: 0, changes: 0 });
  });
  test('apply dead while the source is idle: the target is whole, and the lag says so', async () => {
    const world = await well('elsewhere');
    nearZero(await world.minute(() => world.completes()));
  });
  test('ours has lost its target, and another worker goes on', async () => {
    const world = await well();
    world.observed.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
    const seen = await world.minute(() => {
      world.commit();
      world.tells(world.records.length);
      world.completes();
    });
    nearZero(seen);
  });
  test('a target that was set back is as late as what it lost, whatever was known before', async () => {
    const world = await well();
    await world.minute(() => {
      world.commit();
      world.applies();
      world.completes();
    });
    world.meters.stands('p', 1);
    world.meters.lag('p', world.records[1], 60);
    expect(world.lag()).toEqual({ seconds: 59, changes: 60 });
  });
});

describe('G11: what is not known', () => {
  test('before the first look, and before the pipeline ever started', async () => {
    const world = new World('elsewhere');
    expect(world.lag()).toEqual({ seconds: undefined, changes: 0 });
    world.isStarted = false;
    await world.looks();
    expect(world.lag().seconds).toBeUndefined();
  });
  test('after a restart with the target away: at least what the log knows', async () => {
    const world = new World('elsewhere');
    for (let count = 0; count < 5; count += 1) world.commit();
    world.tells(3);
    world.nowMs += 20_000;
    world.completes();
    world.observed.state.state('apply orders', 'waiting', 'TARGET_UNREACHABLE');
    await world.looks();
    expect(world.lag()).toEqual({ seconds: 20, changes: 2 });
  });
  test('a claim tells where the target stands, though nothing comes after it', async () => {
    const world = new World();
    world.commit();
    world.commit();
    world.completes();
    // It died right behind a commit: the log was told less.
    world.tells(1);
    world.meters.stands('p', 2);
    await world.looks();
    expect(world.lag()).toEqual({ seconds: 0, changes: 0 });
  });
  test('a partition that went to another worker is told by the log again', async () => {
    const world = await well();
    world.meters.lag('p', undefined, 0);
    world.commit();
    await world.looks();
    expect(world.lag().changes).toBe(1);
  });
  test('a target that has lost its progress: nobody can know what it holds', async () => {
    const world = await well('elsewhere');
    world.troubles.set('apply orders', { code: 'TARGET_UNREACHABLE', fault: 'retry', message: 'm', sinceMs: 0 });
    await world.looks();
    expect(world.lag().seconds).toBe(0);
    world.troubles.set('apply orders', { code: 'TARGET_PROGRESS_LOST', fault: 'fatal', message: 'm', sinceMs: 0 });
    await world.looks();
    expect(world.lag().seconds).toBeUndefined();
  });
  test('offsets without records (Kafka) are no changes', async () => {
    const world = await well('elsewhere');
    world.records.length = 3;
    await world.looks();
    expect(world.lag()).toEqual({ seconds: 0, changes: 0 });
  });
});
