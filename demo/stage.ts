import { setTimeout as sleep } from 'node:timers/promises';

import type { LagMeter } from './lag-meter.ts';
import type { Pipeline } from './pipeline.ts';
import { Rate } from './rate.ts';
import { frame, type TableRows, type View } from './screen.ts';
import { brokerOf, type Keeper, type ShopStack } from './servers.ts';
import type { Sides } from './sides.ts';
import type { Terminal } from './terminal.ts';
import type { Workload } from './workload.ts';

interface Cast {
  readonly terminal: Terminal;
  readonly stack: ShopStack;
  readonly folder: string;
  readonly pipeline: Pipeline;
  readonly workload: Workload;
  readonly sides: Sides;
  readonly meters: { readonly Postgres: LagMeter; readonly Redis: LagMeter };
  readonly seconds: number | undefined;
}

/** Gathers what is to be seen and has it drawn, four times a second. */
export class Stage {
  readonly #cast: Cast;
  readonly #startedMs = performance.now();
  readonly #events: string[] = [];
  readonly #source = new Rate();
  readonly #applied = new Rate();
  #rows: readonly TableRows[] = [];
  #isAllApplied = false;
  phase = 'the shop is open';

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  get elapsedSeconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  event(text: string): void {
    // A driver's message may hold line breaks; the screen counts lines.
    const line = `${new Date().toTimeString().slice(0, 8)} ${text.replaceAll(/\s+/g, ' ')}`;
    this.#events.push(line);
    if (this.#events.length > 100) this.#events.shift();
    if (!this.#cast.terminal.isLive) this.#cast.terminal.say(line);
  }

  async run(signal: AbortSignal, keeper: Keeper): Promise<void> {
    const { sides, terminal } = this.#cast;
    if (!terminal.isLive) for (const line of this.#killLines()) terminal.say(line);
    let counting: Promise<void> | undefined;
    let countedMs = -Infinity;
    while (!signal.aborted) {
      keeper.look();
      if (!counting && performance.now() - countedMs > 900) {
        countedMs = performance.now();
        counting = sides.countRows().then((rows) => {
          this.#rows = rows;
          counting = undefined;
        });
      }
      this.draw();
      await sleep(250, undefined, { signal }).catch(() => undefined);
    }
    await counting;
  }

  draw(): void {
    this.#source.add(this.#cast.workload.counts.changes);
    this.#applied.add(this.#appliedChanges());
    this.#cast.terminal.draw(this.#view());
  }

  /** The frame as it would be on a terminal of 80 columns, with its colours. */
  picture(): string {
    return `${frame(this.#view(), { columns: 80, rows: 40, isColoured: true }).join('\n')}\n`;
  }

  /** The last picture: every row was compared and found equal, so everything that was done is applied. */
  async finish(): Promise<void> {
    this.#isAllApplied = true;
    this.#rows = await this.#cast.sides.countRows();
    this.draw();
  }

  /** What both targets have reached, as far as pulses tell. */
  #appliedChanges(): number {
    if (this.#isAllApplied) return this.#cast.workload.counts.changes;
    const meters = Object.values(this.#cast.meters);
    return Math.min(...meters.map((meter) => meter.appliedChanges));
  }

  #killLines(): string[] {
    const { folder } = this.#cast;
    return [
      'try this in another terminal:',
      ...this.#processes().map(({ name, pid }) => `  kill -9 ${pid ?? '?'}  # ${name}`),
      `  cd ${folder} && ./crossfade status`,
    ];
  }

  #processes(): View['processes'] {
    const { servers } = this.#cast.stack;
    const broker = brokerOf(this.#cast.stack);
    return [
      { name: 'crossfade', pid: this.#cast.pipeline.pid },
      { name: 'Postgres', pid: servers.postgres.pid },
      { name: 'Redis', pid: servers.redis.pid },
      { name: 'MySQL', pid: servers.mysql.pid },
      ...(broker ? [{ name: 'Kafka', pid: broker.pid }] : []),
    ];
  }

  #view(): View {
    const { workload, meters, folder, seconds } = this.#cast;
    const ceiling = Math.max(this.#source.highest, this.#applied.highest);
    const elapsedSeconds = this.elapsedSeconds;
    return {
      elapsedSeconds,
      ...(seconds === undefined ? {} : { leftSeconds: seconds - elapsedSeconds }),
      phase: this.phase,
      source: { perSecond: this.#source.perSecond, total: workload.counts.changes, sparkline: this.#source.sparkline(40, ceiling) },
      applied: { perSecond: this.#applied.perSecond, total: this.#appliedChanges(), sparkline: this.#applied.sparkline(40, ceiling) },
      lags: Object.entries(meters).map(([target, meter]) => ({
        target,
        nowMs: meter.lagNowMs(),
        p50Ms: meter.recent(0.5),
        p99Ms: meter.recent(0.99),
      })),
      rows: this.#rows,
      processes: this.#processes(),
      folder,
      events: this.#events,
    };
  }
}
