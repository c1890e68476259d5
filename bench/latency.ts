/** Commit → visible at a steady rate: 5-row inserts into MySQL, a reader that looks in Postgres every millisecond. */
import { setTimeout as sleep } from 'node:timers/promises';

import type { Client } from 'pg';

import { percentile } from '../demo/lag-meter.ts';
import { startCrossfade } from './end-to-end.ts';
import { type Lag, RowLoad, rowsPerStatement } from './row-load.ts';
import { cpuUsOf, peakRssMbOf } from './process-meter.ts';

/** Of one window. From MySQL's answer to its commit, unless it says otherwise. */
interface Lags {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** From sending the statement, MySQL's own time included. */
  readonly sentP99Ms: number;
  /** From sending the statement to MySQL's answer. */
  readonly commitP99Ms: number;
  /** Statements. */
  readonly samples: number;
  /** As it was written, without the warm-up. */
  readonly rowsPerSecond: number;
}

/** Of the window whose p99 is in the middle of all. */
export interface Latency extends Lags {
  /** Of the best and of the worst window. */
  readonly p99sMs: readonly [number, number];
  /** Of crossfade, a row; in all windows. */
  readonly cpuUs: number;
  readonly rssMb: number;
}

export interface LatencyOptions {
  readonly folder: string;
  readonly mysqlUrl: string;
  readonly client: Client;
  readonly table: string;
  readonly rowsPerSecond: number;
  /** Of each window. */
  readonly seconds: number;
}

/** After the first row is visible: the program is compiled while it runs, and so is a broker that was started for this. */
const warmUpSeconds = 15;
/** One after the other. A disk that stands still for a moment is the machine's p99, not ours: the one in the middle counts. */
const windows = 3;

export async function measureLatency(options: LatencyOptions): Promise<Latency> {
  const { folder, table, rowsPerSecond, seconds } = options;
  await using running = startCrossfade(folder);
  const over = new AbortController();
  await using load = await RowLoad.open(options.mysqlUrl, table, rowsPerSecond);
  const reading = read(options, load, over.signal);
  const writing = load.run(over.signal);
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
    await until('visible row', () => load.seen.length > 0);
    await Promise.race([sleep(warmUpSeconds * 1000), broken]);
    const cpuBefore = cpuUsOf(running.pid);
    const edges = [performance.now()];
    while (edges.length <= windows) {
      await Promise.race([sleep(seconds * 1000), broken]);
      edges.push(performance.now());
    }
    const cpuUs = cpuUsOf(running.pid) - cpuBefore;
    load.stop();
    await writing;
    await until('end', () => load.unseen === 0);
    const each = edges.slice(1).map((toMs, index) => lagsBetween(load.seen, edges[index] ?? toMs, toMs));
    const rows = each.reduce((sum, { samples }) => sum + samples, 0) * rowsPerStatement;
    return { ...middleWindow(each), cpuUs: cpuUs / rows, rssMb: peakRssMbOf(running.pid) };
  } finally {
    over.abort();
    await Promise.allSettled([writing, reading]);
  }
}

function lagsBetween(seen: readonly Lag[], fromMs: number, toMs: number): Lags {
  const measured = seen.filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs);
  const at = (of: (lag: Lag) => number, share: number) => percentile(measured.map(of), share) ?? Infinity;
  return {
    p50Ms: at(({ lagMs }) => lagMs, 0.5),
    p99Ms: at(({ lagMs }) => lagMs, 0.99),
    maxMs: at(({ lagMs }) => lagMs, 1),
    sentP99Ms: at(({ sentLagMs }) => sentLagMs, 0.99),
    commitP99Ms: at(({ commitMs }) => commitMs, 0.99),
    samples: measured.length,
    rowsPerSecond: (measured.length * rowsPerStatement * 1000) / (toMs - fromMs),
  };
}

/** `each` is not empty. */
export function middleWindow<T extends { readonly p99Ms: number }>(each: readonly T[]): T & Pick<Latency, 'p99sMs'> {
  const sorted = each.toSorted((a, b) => a.p99Ms - b.p99Ms);
  const [best, middle, worst] = [sorted[0], sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  if (!best || !middle || !worst) throw new Error('latency: no window was measured');
  return { ...middle, p99sMs: [best.p99Ms, worst.p99Ms] };
}

const failureOf = (work: Promise<unknown>): Promise<never> => work.then(() => new Promise<never>(() => undefined));

/** Prepared, and only from the oldest row that was not seen yet: a look costs the target next to nothing, so it is looked every millisecond. */
async function read({ client, table }: LatencyOptions, load: RowLoad, signal: AbortSignal): Promise<void> {
  const text = `SELECT id FROM ${table} WHERE id >= $1::numeric AND id % ${rowsPerStatement} = 0 ORDER BY id`;
  // The plan is made while the table is empty and then kept: a scan of all rows, 1,000 times a second, took half a core.
  await client.query('SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off');
  while (!signal.aborted) {
    const { rows } = await client.query<[string]>({ name: `look ${table}`, text, values: [load.firstUnseen], rowMode: 'array' });
    const nowMs = performance.now();
    for (const [id] of rows) load.visible(Number(id), nowMs);
    await sleep(1);
  }
  await client.query('RESET enable_seqscan; RESET enable_bitmapscan; RESET enable_sort');
}
