import { describe, expect, test } from 'vitest';
import type { LogState, PartTrouble } from '../../src/core/log-state.ts';
import type { Alert } from '../../src/runtime/alert-queue.ts';
import { LagAlerts } from '../../src/runtime/lag-alerts.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

const url = 'https://hooks.internal/secret-path?token=hunter2';

function logger() {
  const lines: { level: string; fields: object; message: string }[] = [];
  const at = (level: string) => (fields: object, message: string) => void lines.push({ level, fields, message });
  return { lines, logger: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

/** Processes of one pipeline that look at one log. */
class World {
  nowMs = 1_700_000_000_000;
  lagSeconds: number | undefined = 1;
  readonly troubles = new Map<string, PartTrouble>();
  readonly sent: Alert[] = [];
  logAnswers = true;
  readonly lines = logger();
  /** Members of the service and the leader, as the log says while it answers. */
  readonly members: string[] = [];
  leader: string | undefined;
  process(patienceMs = 0, who = 'pid 1 on a', part = 'apply orders'): LagAlerts {
    const { totals, state } = makeMeters();
    state.state(part, 'running');
    return new LagAlerts({
      pipeline: 'shop',
      objectives: [{ service: 'orders', objectiveSeconds: 10, alert: url }],
      logger: this.lines.logger,
      watch: this.#watch(),
      totals,
      self: who,
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
  #look(): LogState {
    const members = this.members.map((who) => ({ who, silentSeconds: 0 }));
    return {
      partitions: new Map(),
      groups: new Map(),
      members: new Map(members.length > 0 ? [['orders', members]] : []),
      troubles: new Map(this.troubles),
      waits: new Map(),
      ...(this.leader === undefined ? {} : { leader: { who: this.leader, silentSeconds: 0 } }),
    };
  }
  #watch(): ConstructorParameters<typeof LagAlerts>[0]['watch'] {
    let looked: { readonly log: LogState; readonly atMs: number } | undefined;
    // As LagWatch does: what the last look that succeeded showed stays.
    const look = () => {
      if (this.logAnswers) looked = { log: this.#look(), atMs: this.nowMs };
      return looked;
    };
    return {
      lags: () => [{ service: 'orders', seconds: this.lagSeconds, changes: 7, partitions: [] }],
      get log() {
        return look()?.log;
      },
      get lookedAtMs() {
        return look()?.atMs;
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

  test('a breach while the log is away is told by one, by the others not even when the log is back', async () => {
    const world = new World();
    world.members.push('pid 1 on a', 'pid 2 on b');
    world.leader = 'pid 3 on c, term 4';
    const [second, first, capture] = [
      world.process(0, 'pid 2 on b'),
      world.process(2000, 'pid 1 on a'),
      world.process(6000, 'pid 3 on c', 'capture'),
    ];
    await world.seconds(5, 1, second, first, capture);
    world.logAnswers = false;
    await world.seconds(120, 60, second, first, capture);
    expect(world.events).toEqual(['lag_breached']);
    world.logAnswers = true;
    // Whoever looks first finds no note yet: it is written as soon as the log takes it.
    await world.seconds(60, 60, second, capture, first);
    expect(world.events).toEqual(['lag_breached']);
    await world.seconds(60, 1, second, first, capture);
    expect(world.events).toEqual(['lag_breached', 'lag_recovered']);
    expect(world.troubles.size).toBe(0);
  });

  test('one that could not be noted is not told again by a process that starts, and its recovery is told', async () => {
    const world = new World();
    const told = world.process();
    await world.seconds(5, 1, told);
    world.logAnswers = false;
    await world.seconds(20, 60, told);
    world.logAnswers = true;
    await world.seconds(3, 60, told);
    expect([...world.troubles.keys()]).toEqual(['lag orders']);
    await world.seconds(60, 60, told, world.process(0, 'pid 2 on b'));
    await world.seconds(30, 1, told);
    expect(world.events).toEqual(['lag_breached', 'lag_recovered']);
  });

  test('a breach and its recovery while the log takes no note are both told, and leave none', async () => {
    const world = new World();
    const process = world.process();
    await world.seconds(5, 1, process);
    world.logAnswers = false;
    await world.seconds(20, 60, process);
    await world.seconds(20, 1, process);
    expect(world.events).toEqual(['lag_breached', 'lag_recovered']);
    world.logAnswers = true;
    await world.seconds(20, 1, process);
    expect(world.troubles.size).toBe(0);
  });

  test('where who would tell is gone together with the log, another does: behind the log, or after five minutes without it', async () => {
    for (const answers of [true, false]) {
      const world = new World();
      world.members.push('pid 1 on a', 'pid 2 on b');
      const left = world.process(0, 'pid 2 on b');
      await world.seconds(5, 1, left);
      world.logAnswers = false;
      await world.seconds(60, 60, left);
      expect(world.events).toEqual([]);
      world.logAnswers = answers;
      await world.seconds(answers ? 30 : 300, 60, left);
      expect(world.events).toEqual(['lag_breached']);
    }
  });

  test('a breach that nobody told and that is over is not told, nor its recovery', async () => {
    const world = new World();
    world.members.push('pid 1 on a', 'pid 2 on b');
    const left = world.process(0, 'pid 2 on b');
    await world.seconds(5, 1, left);
    world.logAnswers = false;
    await world.seconds(60, 60, left);
    world.logAnswers = true;
    await world.seconds(60, 1, left);
    expect(world.events).toEqual([]);
  });
});
