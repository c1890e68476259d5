/** What watches a run from inside: lag, alerts, and the door for monitors. None of it can stop or hold up the pipeline. */
import { hostname } from 'node:os';
import { setInterval as ticks } from 'node:timers/promises';
import type { Config, ServiceConfig } from '../config.ts';
import { type HttpConfig, listenOf } from '../config-health.ts';
import { tableName } from '../core/change.ts';
import { asCrossfadeError } from '../core/errors.ts';
import { partitionsOf, topicOf } from '../core/partition.ts';
import type { Logger } from '../core/ports.ts';
import { AlertQueue } from '../runtime/alert-queue.ts';
import { liveness, readiness, type ThreadLife, type Verdict } from '../runtime/health.ts';
import { type Answer, type HttpServer, json, type Routes, serveHttp } from '../runtime/http.ts';
import { LagAlerts } from '../runtime/lag-alerts.ts';
import { LagWatch, type ServiceLag, type WatchedService } from '../runtime/lag-watch.ts';
import { runLoop, sleepUnlessAborted } from '../runtime/loop.ts';
import { metricsText } from '../runtime/metrics.ts';
import type { View } from '../runtime/metrics-catalogue.ts';
import type { Totals } from '../runtime/observe.ts';
import { vitals } from '../runtime/vitals.ts';
import { openLog } from '../wire.ts';
import { usage } from './usage.ts';
import { ratesOf } from './status-rates.ts';
import { type Sample, takeSample } from './status-sample.ts';

export interface HealthParts {
  readonly config: Config;
  readonly http: HttpConfig;
  /** The parts that this process should run: `capture`, `apply orders`. */
  readonly parts: readonly string[];
  readonly services: readonly ServiceConfig[];
  readonly totals: Totals;
  readonly logger: Logger;
  /** Aborted when the run drains: no longer ready. */
  readonly signal: AbortSignal;
}

/** `--http HOST:PORT` or `--http off`, before what the file says. */
export function httpFlag(flag: string | undefined, config: HttpConfig): HttpConfig {
  if (flag === undefined) return config;
  if (flag === 'off') return 'off';
  const listen = listenOf(flag);
  if (listen === undefined) throw usage('--http must be HOST:PORT, as 127.0.0.1:8080, or off', 'crossfade run --help');
  return { ...listen, explicit: true };
}

/** As the log names this process. */
const self = `pid ${process.pid} on ${hostname()}`;

export class Health implements AsyncDisposable {
  readonly #parts: HealthParts;
  readonly #silentTicks = new Map<string, number>();
  readonly #watch: LagWatch;
  readonly #alerts: LagAlerts;
  readonly #queues = new Map<string, AlertQueue>();
  readonly #over = new AbortController();
  readonly #ends: Promise<unknown>[] = [];
  readonly #status: () => Promise<Answer>;
  #server: HttpServer | undefined;

  private constructor(parts: HealthParts) {
    this.#parts = parts;
    const { config, services, totals, logger } = parts;
    const quiet = quietly(logger);
    const open = (stop?: AbortSignal) => openLog(config, config.streams, quiet, stop);
    this.#watch = new LagWatch({ services: services.map((service) => watched(config, service)), totals, openLog: open });
    const objectives = services.flatMap(({ name, lag }) => {
      const { objectiveSeconds, alert } = lag;
      return objectiveSeconds === undefined ? [] : [{ service: name, objectiveSeconds, ...(alert === undefined ? {} : { alert }) }];
    });
    const queueOf = (url: string) => this.#queueOf(url);
    const { pipeline } = config;
    const patienceMs = patienceOf(parts.parts);
    this.#alerts = new LagAlerts({ pipeline, objectives, logger, watch: this.#watch, totals, self, openLog: open, queueOf, patienceMs });
    this.#status = statusRoute(config, quiet);
  }

  /** Throws HTTP_LISTEN where an address that somebody counts on cannot be had. */
  static async start(parts: HealthParts): Promise<Health> {
    const health = new Health(parts);
    await health.#listen();
    const signal = health.#over.signal;
    const logger = quietly(parts.logger);
    health.#ends.push(
      runLoop((run) => health.#watch.session(run), { name: 'watch', signal, logger }),
      health.#tick(signal),
    );
    return health;
  }

  lags(nowMs: number): readonly ServiceLag[] {
    return this.#watch.lags(nowMs);
  }

  /** A thread is expected to show that it turns, from now until it is gone. */
  threadStarts(name: string): void {
    this.#silentTicks.set(name, 0);
  }
  heard(name: string): void {
    if (this.#silentTicks.has(name)) this.#silentTicks.set(name, 0);
  }

  /** The run ends for good and a person has to come: the webhook hears of it before the process is gone. */
  async stopped(thrown: unknown): Promise<void> {
    const { config } = this.#parts;
    if (config.alert === undefined) return;
    const { code, message, remedy } = asCrossfadeError(thrown instanceof AggregateError ? thrown.errors[0] : thrown);
    const queue = this.#queueOf(config.alert);
    queue.push({ event: 'stopped', pipeline: config.pipeline, code, message, remedy, at: new Date().toISOString() });
    await queue.settled(3000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // A log or a webhook that hangs must not keep the process.
    await atMost(2000, this.#alerts.settled());
    await Promise.all([...this.#queues.values()].map((queue) => queue.settled(1000)));
    this.#over.abort();
    await atMost(2000, Promise.allSettled(this.#ends));
    await this.#server?.[Symbol.asyncDispose]();
  }

  async #listen(): Promise<void> {
    const { http, logger } = this.#parts;
    if (http === 'off') return;
    try {
      this.#server = await serveHttp({ host: http.host, port: http.port, routes: this.#routes(), logger });
      logger.info({ listen: `${http.host}:${this.#server.port}` }, 'metrics and health');
    } catch (thrown) {
      if (http.explicit) throw thrown;
      logger.warn({ err: thrown }, 'no metrics and health in this process');
    }
  }

  async #tick(signal: AbortSignal): Promise<void> {
    try {
      for await (const _ of ticks(1000, undefined, { signal })) {
        for (const [name, silent] of this.#silentTicks) this.#silentTicks.set(name, silent + 1);
        this.#alerts.tick();
      }
    } catch {
      // Aborted: the run is over.
    }
  }

  #queueOf(url: string): AlertQueue {
    let queue = this.#queues.get(url);
    if (!queue) {
      queue = new AlertQueue({ url, logger: this.#parts.logger });
      this.#queues.set(url, queue);
      this.#ends.push(queue.run(this.#over.signal));
    }
    return queue;
  }

  #routes(): Routes {
    return {
      '/livez': () => answer(liveness(this.#threads())),
      '/readyz': () => answer(this.#ready()),
      '/metrics': () => this.#metrics(),
      '/status': () => this.#status(),
    };
  }

  #threads(): ThreadLife[] {
    return [...this.#silentTicks].map(([name, silentTicks]) => ({ name, silentTicks }));
  }

  #ready(): Verdict {
    const { parts, totals, signal } = this.#parts;
    if (signal.aborted) return { ok: false, reasons: ['stopping'] };
    return readiness({ parts, totals, threads: this.#threads(), log: this.#watch.log, self });
  }

  async #metrics(): Promise<Answer> {
    const { config, totals } = this.#parts;
    totals.threads['main'] = vitals();
    const nowMs = Date.now();
    const { log, lookedAtMs, clockOffsetSeconds } = this.#watch;
    const queues = [...this.#queues.values()];
    const view: View = {
      nowMs,
      totals,
      lags: this.#watch.lags(nowMs),
      objectives: this.#alerts.objectives,
      threads: this.#threads(),
      alerts: {
        sent: queues.reduce((sum, { sent }) => sum + sent, 0),
        dropped: queues.reduce((sum, { dropped }) => sum + dropped, 0),
        waiting: queues.reduce((sum, { waiting }) => sum + waiting, 0),
      },
      residentBytes: process.memoryUsage.rss(),
      ready: this.#ready().ok,
      log: {
        completeAgeSeconds: this.#watch.completeAgeSeconds(nowMs),
        lookAgeSeconds: lookedAtMs === undefined ? undefined : Math.max(0, performance.now() - lookedAtMs) / 1000,
        clockOffsetSeconds,
        room: log && (log.room?.level ?? 'well'),
      },
    };
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', body: await metricsText(config.pipeline, view) };
  }
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController();
  await Promise.race([work, sleepUnlessAborted(ms, done.signal)]);
  done.abort();
}

const answer = ({ ok, reasons }: Verdict): Answer => json(ok ? 200 : 503, { ok, reasons });

/** What is wrong with the log is said by the parts that need it; here it would be said twice. */
function quietly(logger: Logger): Logger {
  const debug = (fields: object, message: string) => logger.debug(fields, message);
  return { debug, info: debug, warn: debug, error: debug };
}

/** Who applies the service speaks first; a process that only captures speaks when nobody else does. */
function patienceOf(parts: readonly string[]): number {
  const [first, ...others] = parts;
  if (first === 'capture') return others.length > 0 ? 0 : 6000;
  return Math.round(Math.random() * 3000);
}

function watched(config: Config, service: ServiceConfig): WatchedService {
  const tablesOf = (topic: string) =>
    service.mappings.map(({ source }) => tableName(source)).filter((name) => config.routing.get(name)?.topic === topic);
  return {
    name: service.name,
    partitions: service.streams.flatMap(partitionsOf).map((partition) => ({ partition, tables: tablesOf(topicOf(partition)) })),
  };
}

/** The same JSON as `crossfade status --json`. It asks every server, so it is made anew every five seconds at most. */
function statusRoute(config: Config, logger: Logger): () => Promise<Answer> {
  let last: { readonly sample: Sample; readonly body: object } | undefined;
  return async () => {
    // A clock that was set back would make the last sample one of the future.
    if (last === undefined || Math.abs(Date.now() - last.sample.atMs) > 5000) {
      const sample = await takeSample(config, logger);
      // Rates since the look before, however long ago that was; the first has none.
      last = { sample, body: { ...sample, ...ratesOf(last ? [last.sample] : [], sample) } };
    }
    return json(200, last.body);
  };
}
