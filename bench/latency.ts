/** Commit → visible at a steady rate: 5-row inserts into MySQL, a reader that looks in Postgres every millisecond. */
import { setTimeout as sleep } from 'node:timers/promises';

import { createConnection } from 'mysql2/promise';
import type { Client } from 'pg';

import { percentile } from '../demo/lag-meter.ts';
import { startCrossfade } from './end-to-end.ts';
import { benchDatabase } from './load.ts';
import { cpuUsOf, peakRssMbOf } from './process-meter.ts';

export interface Latency {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From sending the statement to MySQL's answer, which is part of all of the above. */
  readonly commitP99Ms: number;
  /** Statements. */
  readonly samples: number;
  /** As it was written, without the warm-up. */
  readonly rowsPerSecond: number;
  /** Of crossfade, a row. */
  readonly cpuUs: number;
  readonly rssMb: number;
}

export interface LatencyOptions {
  readonly folder: string;
  readonly mysqlUrl: string;
  readonly client: Client;
  readonly table: string;
  readonly rowsPerSecond: number;
  readonly seconds: number;
}

const rowsPerStatement = 5;
/** After the first row is visible: the program is compiled while it runs. */
const warmUpSeconds = 5;
/** One connection waits for a sync to disk at each commit, and could not keep the rate up by itself. */
const rowsPerSecondAndWriter = 500;
/** Each writer's ids grow by themselves, so that the highest visible one says what is there. */
const idsPerWriter = 1_000_000_000;

interface Sent {
  readonly lastId: number;
  readonly atMs: number;
}

interface Seen {
  readonly sentMs: number;
  readonly lagMs: number;
}

export async function measureLatency(options: LatencyOptions): Promise<Latency> {
  const { folder, rowsPerSecond, seconds } = options;
  await using running = startCrossfade(folder);
  const over = new AbortController();
  const writers = Array.from({ length: Math.ceil(rowsPerSecond / rowsPerSecondAndWriter) }, (_, n) => new RowWriter(options, n));
  const reading = read(options, writers, over.signal);
  const writing = Promise.all(writers.map((writer) => writer.run(rowsPerSecond / writers.length, over.signal)));
  // Rejects with whatever fails first, and never resolves: a race with it would not wait any more.
  const broken = Promise.race([running.failed, failureOf(writing), failureOf(reading)]);
  broken.catch(() => undefined);
  try {
    const until = async (what: string, isSo: () => boolean) => {
      const deadlineMs = performance.now() + 60_000;
      while (!isSo()) {
        if (performance.now() > deadlineMs) throw new Error(`latency: no ${what} within 60 s`);
        await Promise.race([sleep(20), broken]);
      }
    };
    await until('visible row', () => writers.some(({ seen }) => seen.length > 0));
    await Promise.race([sleep(warmUpSeconds * 1000), broken]);
    const fromMs = performance.now();
    const cpuBefore = cpuUsOf(running.pid);
    await Promise.race([sleep(seconds * 1000), broken]);
    const toMs = performance.now();
    const cpuUs = cpuUsOf(running.pid) - cpuBefore;
    for (const writer of writers) writer.stop();
    await writing;
    await until('end', () => writers.every(({ sent }) => sent.length === 0));
    const isMeasured = ({ sentMs }: Seen) => sentMs >= fromMs && sentMs < toMs;
    const lags = writers.flatMap(({ seen }) => seen.filter(isMeasured).map(({ lagMs }) => lagMs));
    const commits = writers.flatMap(({ commits: all }) => all.filter(isMeasured).map(({ lagMs }) => lagMs));
    const rows = lags.length * rowsPerStatement;
    return {
      p50Ms: percentile(lags, 0.5) ?? Infinity,
      p99Ms: percentile(lags, 0.99) ?? Infinity,
      maxMs: percentile(lags, 1) ?? Infinity,
      commitP99Ms: percentile(commits, 0.99) ?? Infinity,
      samples: lags.length,
      rowsPerSecond: (rows * 1000) / (toMs - fromMs),
      cpuUs: cpuUs / rows,
      rssMb: peakRssMbOf(running.pid),
    };
  } finally {
    over.abort();
    await Promise.allSettled([writing, reading]);
  }
}

const failureOf = (work: Promise<unknown>): Promise<never> => work.then(() => new Promise<never>(() => undefined));

class RowWriter {
  readonly #options: LatencyOptions;
  readonly #firstId: number;
  #isStopped = false;
  /** Not visible yet, oldest first. */
  readonly sent: Sent[] = [];
  readonly seen: Seen[] = [];
  readonly commits: Seen[] = [];

  constructor(options: LatencyOptions, number: number) {
    this.#options = options;
    this.#firstId = number * idsPerWriter + 1;
  }

  get range(): readonly [from: number, below: number] {
    return [this.#firstId, this.#firstId + idsPerWriter - 1];
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** The clock is read before the statement is sent: MySQL's own time is part of the figure. */
  async run(rowsPerSecond: number, signal: AbortSignal): Promise<void> {
    const { mysqlUrl, table } = this.#options;
    const mysql = await createConnection({ uri: mysqlUrl, database: benchDatabase, timezone: 'Z' });
    try {
      const row = "(?,1,'SKU-1','latency probe','new',1.00,1,NOW(3),NOW(),NULL)";
      const sql = `INSERT INTO ${table} VALUES ${Array.from({ length: rowsPerStatement }, () => row).join(',')}`;
      // Writers begin spread over the time of one statement.
      const startedMs = performance.now() + Math.random() * ((rowsPerStatement * 1000) / rowsPerSecond);
      for (let n = 0; !this.#isStopped && !signal.aborted; n += rowsPerStatement) {
        const waitMs = startedMs + (n / rowsPerSecond) * 1000 - performance.now();
        if (waitMs > 1) await sleep(waitMs);
        const ids = Array.from({ length: rowsPerStatement }, (_, index) => this.#firstId + n + index);
        const atMs = performance.now();
        this.sent.push({ lastId: ids.at(-1) ?? 0, atMs });
        await mysql.query(sql, ids);
        this.commits.push({ sentMs: atMs, lagMs: performance.now() - atMs });
      }
    } finally {
      await mysql.end();
    }
  }

  visible(id: number, nowMs: number): void {
    let count = 0;
    for (const { lastId, atMs } of this.sent) {
      if (lastId > id) break;
      this.seen.push({ sentMs: atMs, lagMs: nowMs - atMs });
      count += 1;
    }
    this.sent.splice(0, count);
  }
}

async function read({ client, table }: LatencyOptions, writers: readonly RowWriter[], signal: AbortSignal): Promise<void> {
  const highest = writers.map(({ range: [from, below] }) => `(SELECT max(id) FROM ${table} WHERE id >= ${from} AND id < ${below})::text`);
  const text = `SELECT ${highest.join(', ')}`;
  while (!signal.aborted) {
    const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array' });
    const nowMs = performance.now();
    for (const [n, writer] of writers.entries()) writer.visible(Number(rows[0]?.[n] ?? 0), nowMs);
    await sleep(1);
  }
}
