import { describe, expect, test } from 'vitest';
import type { LogState, PartTrouble } from '../../src/core/log-state.ts';
import { type Alert, AlertQueue, type AlertQueueParts } from '../../src/runtime/alert-queue.ts';
import { LagAlerts } from '../../src/runtime/lag-alerts.ts';
import { makeMeters } from '../../src/runtime/observe.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const url = 'https://hooks.internal/secret-path?token=hunter2';

function logger() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** A webhook of which a test says what it does. */
async function queueing(answer: (attempt: number, body: string) => number | 'hangs' | 'refuses', work: (rig: Queueing) => Promise<void>) {
  const clock = new VirtualClock();
  const { lines, logger: sink } = logger();
  const got: string[] = [];
  let attempts = 0;
  const post: NonNullable<AlertQueueParts['post']> = async (_, body) => {
    const now = answer(++attempts, body);
    if (now === 'refuses') throw Object.assign(new Error(`connect ${url}`), { code: 'ECONNREFUSED' });
    if (now === 'hangs') {
      await clock.sleep(10_000);
      throw new DOMException('late', 'TimeoutError');
    }
    if (now === 204) got.push((JSON.parse(body) as Alert).event);
    return now;
  };
  const queue = new AlertQueue({ url, logger: sink, post, now: clock.now, sleep: clock.sleep });
  const stop = new AbortController();
  const run = queue.run(stop.signal);
  await work({ queue, clock, got, lines, attempts: () => attempts });
  stop.abort();
  await run;
  expect(JSON.stringify(lines)).not.toMatch(/hunter2|secret-path/);
}
interface Queueing {
  readonly queue: AlertQueue;
  readonly clock: VirtualClock;
  readonly got: string[];
  readonly lines: { level: string; fields: object; message: string }[];
  readonly attempts: () => number;
}

describe('G11: an alert on its way', () => {
  test('goes out at once, each once, in order', () =>
    queueing(
      () => 204,
      async ({ queue, clock, got }) => {
        for (const event of ['a', 'b', 'c']) queue.push({ event });
        expect(await clock.runUntil(() => got.length === 3, 1000)).toBe(true);
        expect(got).toEqual(['a', 'b', 'c']);
        expect([queue.sent, queue.waiting, queue.dropped]).toEqual([3, 0, 0]);
      },
    ));
  test.each(['refuses', 'hangs', 500, 302, 429] as const)(
    'is tried again while the webhook %s, and a recovery waits behind its breach',
    (bad) =>
      queueing(
        (attempt) => (attempt < 20 ? bad : 204),
        async ({ queue, clock, got, lines }) => {
          queue.push({ event: 'lag_breached' });
          queue.push({ event: 'lag_recovered' });
          expect(await clock.runUntil(() => got.length === 2, 3_600_000)).toBe(true);
          expect(got).toEqual(['lag_breached', 'lag_recovered']);
          // Said at the 1st, 2nd, 4th … failure, not at each.
          expect(lines.filter(({ level }) => level === 'warn').length).toBeLessThanOrEqual(5);
        },
      ),
  );
  test('is given up after an hour, aloud, and what came later still goes out', () =>
    queueing(
      (_, body) => (body.includes('first') ? 500 : 204),
      async ({ queue, clock, got, lines }) => {
        queue.push({ event: 'first' });
        await clock.runUntil(() => false, 3_000_000);
        queue.push({ event: 'second' });
        expect(await clock.runUntil(() => got.length === 1, 3_600_000)).toBe(true);
        expect([got, queue.dropped]).toEqual([['second'], 1]);
        expect(lines.some(({ level, message }) => level === 'error' && message.includes('for an hour'))).toBe(true);
      },
    ));
  test('a webhook that is away for ever fills no memory', () =>
    queueing(
      () => 'refuses',
      async ({ queue }) => {
        for (let count = 0; count < 1000; count += 1) queue.push({ event: 'x' });
        expect([queue.waiting, queue.dropped]).toEqual([100, 900]);
      },
    ));
});

/** Processes of one pipeline that look at one log. */
class World {
  nowMs = 1_700_000_000_000;
  lagSeconds: number | undefined = 1;
  readonly troubles = new Map<string, PartTrouble>();
  readonly sent: Alert[] = [];
  logAnswers = true;
  readonly lines = logger();
  process(patienceMs = 0): LagAlerts {
    return new LagAlerts({
      pipeline: 'shop',
      objectives: [{ service: 'orders', objectiveSeconds: 10, alert: url }],
      logger: this.lines.logger,
      watch: this.#watch(),
      totals: makeMeters().totals,
      openLog: async () => {
        if (!this.logAnswers) throw new Error('away');
        return {
          trouble: async (part, trouble) => {
            if (trouble) this.troubles.set(part, trouble);
            else this.troubles.delete(part);
          },
          [Symbol.asyncDispose]: async () => {},
        };
      },
      queueOf: () => ({ push: (alert) => void this.sent.push(alert) }),
      patienceMs,
      now: () => this.nowMs,
    });
  }
  async seconds(count: number, lag: number | undefined, ...processes: LagAlerts[]): Promise<void> {
    this.lagSeconds = lag;
    for (let second = 0; second < count; second += 1) {
      this.nowMs += 1000;
      for (const each of processes) {
        each.tick();
        await each.settled();
      }
    }
  }
  get events(): string[] {
    return this.sent.map(({ event }) => event);
  }
  #log(): LogState | undefined {
    if (!this.logAnswers) return undefined;
    return { partitions: new Map(), groups: new Map(), members: new Map(), troubles: new Map(this.troubles), waits: new Map() };
  }
  #watch(): ConstructorParameters<typeof LagAlerts>[0]['watch'] {
    const [log, now] = [() => this.#log(), () => this.nowMs];
    return {
      lags: () => [{ service: 'orders', seconds: this.lagSeconds, changes: 7, partitions: [] }],
      get log() {
        return log();
      },
      get lookedAtMs() {
        return now();
      },
    };
  }
}

describe('G11: the lag objective', () => {
  test('breach and recovery are each said once, with what is dead, in the log and to the webhook', async () => {
    const world = new World();
    const process = world.process();
    await world.seconds(5, 1, process);
    await world.seconds(100, 60, process);
    expect(process.objectives).toEqual([{ service: 'orders', objectiveSeconds: 10, breached: true }]);
    await world.seconds(30, 1, process);
    expect(process.objectives[0]?.breached).toBe(false);
    expect(world.sent).toEqual([
      {
        event: 'lag_breached',
        pipeline: 'shop',
        service: 'orders',
        lag_seconds: 60,
        lag_changes: 7,
        objective_seconds: 10,
        at: new Date(1_700_000_010_000).toISOString(),
        // When the objective was passed: 50 s before.
        since: new Date(1_700_000_010_000 - 50_000).toISOString(),
        dead: ['capture: nobody captures', 'apply orders: nobody applies'],
      },
      expect.objectContaining({ event: 'lag_recovered', lag_seconds: 1 }),
    ]);
    expect(world.lines.lines.filter(({ level }) => level !== 'debug').map(({ level, message }) => [level, message])).toEqual([
      ['warn', 'lag objective breached'],
      ['info', 'lag objective met again'],
    ]);
    expect(JSON.stringify(world.lines.lines)).not.toContain('hunter2');
  });

  test('after a restart during a breach nothing is said twice, and the recovery is', async () => {
    const world = new World();
    await world.seconds(20, 60, world.process());
    const again = world.process();
    await world.seconds(100, 60, again);
    expect(world.events).toEqual(['lag_breached']);
    await world.seconds(30, 1, again);
    expect(world.events).toEqual(['lag_breached', 'lag_recovered']);
    expect(world.troubles.size).toBe(0);
  });

  test('a breach that ended while nobody ran is taken back by the next process', async () => {
    const world = new World();
    await world.seconds(20, 60, world.process());
    await world.seconds(30, 1, world.process());
    expect(world.events).toEqual(['lag_breached', 'lag_recovered']);
  });

  test('of several processes that see the same, one tells the webhook', async () => {
    const world = new World();
    const processes = [world.process(6000), world.process(0), world.process(1500)];
    await world.seconds(60, 60, ...processes);
    await world.seconds(60, 1, ...processes);
    await world.seconds(60, 60, ...processes);
    expect(world.events).toEqual(['lag_breached', 'lag_recovered', 'lag_breached']);
  });

  test('a log that does not answer keeps nobody from saying it', async () => {
    const world = new World();
    world.logAnswers = false;
    const process = world.process();
    await world.seconds(120, undefined, process);
    expect(world.sent).toEqual([expect.objectContaining({ event: 'lag_breached', lag_seconds: null, dead: ['log: does not answer'] })]);
  });
});
