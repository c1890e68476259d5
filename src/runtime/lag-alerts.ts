/** Lag objectives: breach and recovery, each said once in the log and to the webhook. */
import type { Log } from '../core/log-port.ts';
import type { LogState } from '../core/log-state.ts';
import type { Logger } from '../core/ports.ts';
import { LagAlarm } from './alarm.ts';
import type { Alert, AlertQueue } from './alert-queue.ts';
import { troublesOf } from './health.ts';
import type { ServiceLag } from './lag-watch.ts';
import type { Totals } from './observe.ts';

interface LagObjective {
  readonly service: string;
  readonly objectiveSeconds: number;
  /** The webhook; undefined: the log and the metric say it. */
  readonly alert?: string;
}

export interface LagAlertsParts {
  readonly pipeline: string;
  readonly objectives: readonly LagObjective[];
  readonly logger: Logger;
  readonly watch: {
    lags(nowMs: number): readonly ServiceLag[];
    readonly log: LogState | undefined;
    readonly lookedAtMs: number | undefined;
  };
  readonly totals: Pick<Totals, 'states'>;
  readonly openLog: () => Promise<Pick<Log, 'trouble'> & AsyncDisposable>;
  /** One queue for each webhook. */
  readonly queueOf: (url: string) => Pick<AlertQueue, 'push'>;
  /** Of several processes that see the same, those who wait longer find it said already. */
  readonly patienceMs?: number;
  readonly now?: () => number;
}

interface Watched extends LagObjective {
  readonly alarm: LagAlarm;
  /** Our own note at the log was written or taken back then: an older look knows less. */
  notedAtMs: number;
}

/** The note at the log by which other processes, and the next life of this one, know that a breach was said. */
const lagPart = (service: string): string => `lag ${service}`;

export class LagAlerts {
  readonly #parts: LagAlertsParts;
  readonly #now: () => number;
  readonly #watched: readonly Watched[];
  #noting: Promise<void> = Promise.resolve();

  constructor(parts: LagAlertsParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    const { patienceMs = 0 } = parts;
    const times = { breachAfterMs: 5000 + patienceMs, recoverAfterMs: 10_000 + patienceMs };
    const nowMs = this.#now();
    this.#watched = parts.objectives.map((objective) => ({
      ...objective,
      alarm: new LagAlarm({ objectiveSeconds: objective.objectiveSeconds, ...times }, nowMs),
      notedAtMs: nowMs,
    }));
  }

  get objectives(): readonly { readonly service: string; readonly objectiveSeconds: number; readonly breached: boolean }[] {
    return this.#watched.map(({ service, alarm }) => ({ service, objectiveSeconds: alarm.objectiveSeconds, breached: alarm.breached }));
  }

  /** To be called about every second. */
  tick(): void {
    const nowMs = this.#now();
    const lags = new Map(this.#parts.watch.lags(nowMs).map((lag) => [lag.service, lag]));
    for (const watched of this.#watched) {
      const lag = lags.get(watched.service);
      if (!lag) continue;
      const noted = this.#noted(watched);
      if (noted === true && !watched.alarm.breached) {
        watched.alarm.adopt();
        this.#parts.logger.info({ service: watched.service }, 'the lag objective was breached before, as the log says');
      }
      const event = watched.alarm.observe(lag.seconds, nowMs);
      if (event !== undefined) this.#say(watched, event, lag, nowMs, noted);
    }
  }

  /** Notes are written, or will not be any more. */
  async settled(): Promise<void> {
    await this.#noting;
  }

  /** Whether a breach is noted at the log; undefined where the last look is older than what we wrote ourselves. */
  #noted({ service, notedAtMs }: Watched): boolean | undefined {
    const { log, lookedAtMs } = this.#parts.watch;
    return log === undefined || (lookedAtMs ?? 0) <= notedAtMs ? undefined : log.troubles.has(lagPart(service));
  }

  #say(watched: Watched, event: 'breached' | 'recovered', lag: ServiceLag, nowMs: number, noted: boolean | undefined): void {
    const { service, objectiveSeconds, alert } = watched;
    const { logger, pipeline, totals, watch } = this.#parts;
    const fields = { service, lagSeconds: rounded(lag.seconds), lagChanges: lag.changes, objectiveSeconds };
    const dead = event === 'breached' ? troublesOf(service, totals, watch.log, nowMs - (watch.lookedAtMs ?? nowMs)) : [];
    if (event === 'breached') logger.warn({ ...fields, dead }, 'lag objective breached');
    else logger.info(fields, 'lag objective met again');
    // Another process of the pipeline has told the webhook.
    if (noted === (event === 'breached')) return;
    this.#note(watched, event, fields.lagSeconds);
    if (alert === undefined) return;
    const sinceMs = nowMs - Math.max(0, (lag.seconds ?? objectiveSeconds) - objectiveSeconds) * 1000;
    const body: Alert = {
      event: `lag_${event}`,
      pipeline,
      service,
      lag_seconds: fields.lagSeconds ?? null,
      lag_changes: lag.changes,
      objective_seconds: objectiveSeconds,
      at: new Date(nowMs).toISOString(),
      ...(event === 'breached' ? { since: new Date(sinceMs).toISOString(), dead } : {}),
    };
    this.#parts.queueOf(alert).push(body);
  }

  /** Advisory: what cannot be noted is said again after a restart. */
  #note(watched: Watched, event: 'breached' | 'recovered', lagSeconds: number | undefined): void {
    const { service, objectiveSeconds } = watched;
    const message = `lag ${lagSeconds ?? 'unknown'} s, objective ${objectiveSeconds} s`;
    const trouble = event === 'breached' ? { code: 'LAG_OBJECTIVE', message, sinceMs: this.#now() } : undefined;
    watched.notedAtMs = Infinity;
    this.#noting = this.#noting.then(async () => {
      try {
        await using log = await this.#parts.openLog();
        await log.trouble(lagPart(service), trouble);
      } catch (thrown) {
        this.#parts.logger.debug({ service, err: thrown }, 'the breach could not be noted in the log');
      }
      watched.notedAtMs = this.#now();
    });
  }
}

const rounded = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.round(seconds * 1000) / 1000);
