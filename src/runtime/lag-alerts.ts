/** Lag objectives: breach and recovery, each said once in the log and to the webhook. */
import type { Log } from '../core/log-port.ts';
import type { LogState, PartTrouble } from '../core/log-state.ts';
import type { Logger } from '../core/ports.ts';
import { LagAlarm } from './alarm.ts';
import type { Alert, AlertQueue } from './alert-queue.ts';
import { speaksBlind, troublesOf } from './health.ts';
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
    /** By the steady clock. */
    readonly lookedAtMs: number | undefined;
  };
  readonly totals: Pick<Totals, 'states'>;
  /** This process, as the log names it (`pid 7 on db1`). */
  readonly self: string;
  readonly openLog: () => Promise<Pick<Log, 'trouble'> & AsyncDisposable>;
  /** One queue for each webhook. */
  readonly queueOf: (url: string) => Pick<AlertQueue, 'push'>;
  /** Of several processes that see the same, those who wait longer find it said already. */
  readonly patienceMs?: number;
  readonly now?: () => number;
  /** Milliseconds of a clock that nobody sets: for all that lasts. `now` where only that one is given. */
  readonly steady?: () => number;
}

type Event = 'breached' | 'recovered';

interface Watched extends LagObjective {
  readonly alarm: LagAlarm;
  /** Our own note at the log was written or taken back then: an older look knows less. */
  notedAtMs: number;
  /** What the log is to be told and was not yet, because it did not take it; tried again every second. */
  note?: { readonly trouble: PartTrouble | undefined } | undefined;
  /** Another process tells it, as far as can be known without the log. */
  left?: { readonly event: Event; readonly lag: ServiceLag; readonly atMs: number; answeredAtMs?: number } | undefined;
}

/** A look comes every second: after several that failed, nobody knows what others have noted. Less than it takes to breach. */
const blindAfterMs = 3000;
/** What another process told is noted by it so soon after the log answers again. */
const noteWithinMs = 10_000;
/** So long without the log, and without anybody who could say whether the other process lives: better twice than never. */
const leftWithinMs = 5 * 60_000;

/** The note at the log by which other processes, and the next life of this one, know that a breach was said. */
const lagPart = (service: string): string => `lag ${service}`;

export class LagAlerts {
  readonly #parts: LagAlertsParts;
  readonly #now: () => number;
  readonly #steady: () => number;
  readonly #watched: readonly Watched[];
  readonly #writing = new Set<string>();
  #noting: Promise<void> = Promise.resolve();

  constructor(parts: LagAlertsParts) {
    this.#parts = parts;
    this.#now = parts.now ?? Date.now;
    this.#steady = parts.steady ?? parts.now ?? (() => performance.now());
    const { patienceMs = 0 } = parts;
    const times = { breachAfterMs: 5000 + patienceMs, recoverAfterMs: 10_000 + patienceMs };
    const nowMs = this.#steady();
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
    const nowMs = this.#steady();
    const lags = new Map(this.#parts.watch.lags(this.#now()).map((lag) => [lag.service, lag]));
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
      else if (watched.left) this.#overdue(watched, watched.left, nowMs, noted);
      this.#write(watched);
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

  #say(watched: Watched, event: Event, lag: ServiceLag, nowMs: number, noted: boolean | undefined): void {
    const { service, objectiveSeconds, left } = watched;
    const { logger, self, totals, watch } = this.#parts;
    const fields = { service, lagSeconds: rounded(lag.seconds), lagChanges: lag.changes, objectiveSeconds };
    if (event === 'breached') logger.warn({ ...fields, dead: this.#dead(service, nowMs) }, 'lag objective breached');
    else logger.info(fields, 'lag objective met again');
    watched.left = undefined;
    // Another process of the pipeline has told the webhook; or nobody has told what ends here.
    if (noted === (event === 'breached') || left) return;
    if (this.#blind(nowMs) && !speaksBlind(service, self, totals, watch.log)) watched.left = { event, lag, atMs: nowMs };
    else this.#tell(watched, event, lag, nowMs);
  }

  /** Whether what was left to another process was told by it; else it is told after all. */
  #overdue(watched: Watched, left: NonNullable<Watched['left']>, nowMs: number, noted: boolean | undefined): void {
    const blind = this.#blind(nowMs);
    if (!blind) left.answeredAtMs ??= nowMs;
    const isTold = !blind && noted === (left.event === 'breached');
    const isLate = blind ? nowMs - left.atMs >= leftWithinMs : nowMs - (left.answeredAtMs ?? nowMs) >= noteWithinMs;
    if (isTold || isLate) watched.left = undefined;
    if (isLate && !isTold) this.#tell(watched, left.event, left.lag, nowMs);
  }

  #blind(nowMs: number): boolean {
    const { log, lookedAtMs = 0 } = this.#parts.watch;
    return log === undefined || nowMs - lookedAtMs > blindAfterMs;
  }

  #dead(service: string, nowMs: number): string[] {
    const { totals, watch } = this.#parts;
    return troublesOf(service, totals, watch.log, nowMs - (watch.lookedAtMs ?? nowMs));
  }

  /** To the webhook, and to the other processes. */
  #tell(watched: Watched, event: Event, lag: ServiceLag, nowMs: number): void {
    const { service, objectiveSeconds, alert } = watched;
    const { pipeline, queueOf } = this.#parts;
    const lagSeconds = rounded(lag.seconds);
    const atMs = this.#now();
    const message = `lag ${lagSeconds ?? 'unknown'} s, objective ${objectiveSeconds} s`;
    const trouble = { code: 'LAG_OBJECTIVE', fault: 'retry', message, sinceMs: atMs } as const;
    watched.note = { trouble: event === 'breached' ? trouble : undefined };
    if (alert === undefined) return;
    const sinceMs = atMs - Math.max(0, (lag.seconds ?? objectiveSeconds) - objectiveSeconds) * 1000;
    const body: Alert = {
      event: `lag_${event}`,
      pipeline,
      service,
      lag_seconds: lagSeconds ?? null,
      lag_changes: lag.changes,
      objective_seconds: objectiveSeconds,
      at: new Date(atMs).toISOString(),
      ...(event === 'breached' ? { since: new Date(sinceMs).toISOString(), dead: this.#dead(service, nowMs) } : {}),
    };
    queueOf(alert).push(body);
  }

  /** Where the log does not take it, the next tick tries again: else another process would tell the same. */
  #write(watched: Watched): void {
    const { note, service } = watched;
    if (note === undefined || this.#writing.has(service)) return;
    this.#writing.add(service);
    watched.notedAtMs = Infinity;
    this.#noting = this.#noting.then(async () => {
      try {
        await using log = await this.#parts.openLog();
        await log.trouble(lagPart(service), note.trouble);
        if (watched.note === note) watched.note = undefined;
      } catch (thrown) {
        this.#parts.logger.debug({ service, err: thrown }, 'the breach could not be noted in the log');
      }
      if (watched.note === undefined) watched.notedAtMs = this.#steady();
      this.#writing.delete(service);
    });
  }
}

const rounded = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.round(seconds * 1000) / 1000);
