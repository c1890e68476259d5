/** Somebody sets the clock of the machine while the pipeline runs: what lasts is measured by another one. */
import { describe, expect, test } from 'vitest';

import type { CompleteRecord, Log } from '../../src/core/log-port.ts';
import type { LogState } from '../../src/core/log-state.ts';
import type { Alert } from '../../src/runtime/alert-queue.ts';
import { LagAlerts } from '../../src/runtime/lag-alerts.ts';
import { LagWatch } from '../../src/runtime/lag-watch.ts';
import { makeMeters } from '../../src/runtime/observe.ts';

const hourMs = 3_600_000;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** One process beside a capture on the same machine, and a source whose clock is right. */
class Machine {
  steadyMs = 7000;
  /** What the clock shows beyond the time that passed. */
  setMs = 1_700_000_000_000;
  complete: CompleteRecord | undefined;
  looks = 0;
  readonly sent: Alert[] = [];
  readonly #observed = makeMeters();
  readonly watch = new LagWatch({
    services: [{ name: 'orders', partitions: [{ partition: 'p', tables: ['shop.orders'] }] }],
    totals: this.#observed.totals,
    openLog: async () => ({ ...this.#log, [Symbol.asyncDispose]: async () => {} }) as unknown as Log,
    now: () => this.nowMs,
    steady: () => this.steadyMs,
    sleep: async (ms) => this.#passes(ms),
  });
  readonly alerts = new LagAlerts({
    pipeline: 'shop',
    objectives: [{ service: 'orders', objectiveSeconds: 10, alert: 'https://hooks.internal' }],
    logger: quiet,
    watch: this.watch,
    totals: this.#observed.totals,
    self: 'pid 1 on a',
    openLog: async () => ({ trouble: async () => undefined, [Symbol.asyncDispose]: async () => {} }),
    queueOf: () => ({ push: (alert) => void this.sent.push(alert) }),
    now: () => this.nowMs,
    steady: () => this.steadyMs,
  });
  readonly #log: Pick<Log, 'state' | 'at'> = { state: async () => this.#state(), at: async () => undefined };
  #untilMs = 0;
  #stop = new AbortController();
  #each: () => void = () => {};

  get nowMs(): number {
    return this.steadyMs + this.setMs;
  }
  get lag(): number | undefined {
    return this.watch.lags(this.nowMs)[0]?.seconds;
  }

  /** The leading capture writes one: the source is always right, and its offset was measured when it connected. */
  completes(clockOffsetUs = 0): void {
    const throughUs = (this.steadyMs + 1_700_000_000_000) * 1000;
    this.complete = { position: 'P', throughUs, writtenAtMs: this.nowMs, clockOffsetUs, term: 1, ends: { p: 0 } };
  }

  /** The process watches for so long. */
  async runs(seconds: number, each: () => void = () => {}): Promise<void> {
    this.#untilMs = this.steadyMs + seconds * 1000;
    this.#stop = new AbortController();
    this.#each = each;
    await this.watch.session({ signal: this.#stop.signal, ready: () => undefined, progressed: () => undefined });
  }

  #passes(ms: number): void {
    this.steadyMs += ms;
    if (this.steadyMs % 1000 < ms) {
      this.#each();
      this.alerts.tick();
    }
    if (this.steadyMs >= this.#untilMs) this.#stop.abort();
  }

  #state(): LogState {
    this.looks += 1;
    const partition = { logId: 'L', startOffset: 0, endOffset: 0 };
    const nothing = { groups: new Map([['orders', new Map([['p', 0]])]]), members: new Map(), troubles: new Map(), waits: new Map() };
    const start = { position: 'S', writtenAtMs: 1_699_999_000_000 };
    return { partitions: new Map([['p', partition]]), start, ...nothing, ...(this.complete ? { complete: this.complete } : {}) };
  }
}

describe('G11: the clock is set while everything is dead', () => {
  test.each([
    ['back', -hourMs],
    ['a little back', -1500],
  ])('%s: lag goes on growing, the log is looked at every second, and the alert comes', async (_name, byMs) => {
    const machine = new Machine();
    await machine.runs(5, () => machine.completes());
    expect(machine.lag).toBeLessThan(2);
    machine.setMs += byMs;
    const looks = machine.looks;
    await machine.runs(60);
    expect(machine.lag).toBeGreaterThan(59);
    expect(machine.lag).toBeLessThan(62);
    expect(machine.watch.completeAgeSeconds(machine.nowMs)).toBeGreaterThan(59);
    expect(machine.looks - looks).toBeGreaterThan(40);
    expect(machine.sent.map(({ event }) => event)).toEqual(['lag_breached']);
  });

  test('forward: what the clock says is believed', async () => {
    const machine = new Machine();
    await machine.runs(5, () => machine.completes());
    machine.setMs += hourMs;
    await machine.runs(10);
    expect(machine.lag).toBeGreaterThan(3600);
  });
});

describe('G11: the clock is set while all is well', () => {
  test('back: near zero behind the next complete record, and dead a day later it is late', async () => {
    const machine = new Machine();
    await machine.runs(5, () => machine.completes());
    machine.setMs -= hourMs;
    await machine.runs(60, () => machine.completes());
    expect(machine.lag).toBeLessThan(2);
    expect(machine.sent).toEqual([]);
    await machine.runs(30);
    expect(machine.lag).toBeGreaterThan(29);
    expect(machine.lag).toBeLessThan(33);
  });

  test('a capture on a machine whose clock is an hour ahead hides nothing', async () => {
    const machine = new Machine();
    // As it was written there: an hour ahead of ours, and it knows.
    machine.setMs += hourMs;
    machine.completes(-hourMs * 1000);
    machine.setMs -= hourMs;
    await machine.runs(30);
    expect(machine.lag).toBeGreaterThan(29);
  });
});
