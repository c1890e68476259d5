import { createConnection } from 'mysql2/promise';

import { adder, addMemory, type Bench, urlOfKafka } from './bench.ts';
import { makeConfig } from './config-file.ts';
import { tableDefinition } from './data-set.ts';
import { latencyCeilingMs, type LatencyRate, latencyRates } from './floors.ts';
import { grouped } from './figure.ts';
import { type Latency, measureLatency } from './latency.ts';
import { benchDatabase, executedGtids } from './load.ts';
import type { LogKind } from './plan.ts';
import { emptyTarget, mysqlDigest, prove } from './target.ts';

/** A writer that could not keep its rate up measured something else. */
const leastOfRate = 0.95;

/** What was measured, to be judged when the run knows how fast this machine is. */
export type Judge = (upsertsPerSecond: number | undefined) => void;

export async function latencyFigures(bench: Bench, log: LogKind): Promise<readonly Judge[]> {
  bench.ahead.begin(log === 'kafka' ? 'kafka-latency' : 'latency');
  const judges: Judge[] = [];
  for (const rate of latencyRates) judges.push(await atRate(bench, log, rate));
  return judges;
}

async function atRate(bench: Bench, log: LogKind, rate: LatencyRate): Promise<Judge> {
  const { stack, client, say, latencySeconds } = bench;
  const table = `bench_latency_${log}_${rate}`;
  const mysqlUrl = stack.urls.mysql;
  const mysql = await createConnection({ uri: mysqlUrl, database: benchDatabase });
  await mysql.query(tableDefinition(table));
  const startGtid = await executedGtids(mysql);
  await mysql.end();
  await emptyTarget(client, table);
  const kafkaUrl = urlOfKafka(bench, log);
  using config = makeConfig({ mysqlUrl, startGtid, postgresUrl: bench.postgresUrl, table, pipeline: table, kafkaUrl });
  const options = { folder: config.folder, mysqlUrl, client, table, rowsPerSecond: rate, seconds: latencySeconds };
  const result = await say.during(`commit → visible at ${grouped(rate)} rows/s, ${log} log`, () => measureLatency(options));
  const { isEqual, difference } = await prove(await mysqlDigest(mysqlUrl, benchDatabase, table), client, table);
  if (!isEqual) say.line(`latency: the target differs: ${difference}`);
  const kept = result.rowsPerSecond >= rate * leastOfRate;
  if (!kept) say.line(`latency: this machine wrote only ${grouped(Math.round(result.rowsPerSecond))} rows/s`);
  say.line(`latency: p50 ${result.p50Ms.toFixed(1)} ms, p99 ${result.p99Ms.toFixed(1)} ms`);
  return (here) => addFigures(bench, { log, rate, result, isRight: isEqual && kept, here });
}

interface Judged {
  readonly log: LogKind;
  readonly rate: LatencyRate;
  readonly result: Latency;
  readonly isRight: boolean;
  readonly here: number | undefined;
}

function addFigures(bench: Bench, { log, rate, result, isRight, here }: Judged): void {
  const add = adder(bench, `latency_${log}.${rate}_per_second`);
  add('p50', result.p50Ms, 'ms', { isRight });
  add('p99', result.p99Ms, 'ms', { isRight, floor: latencyCeilingMs(log, rate, here) });
  add('max', result.maxMs, 'ms');
  const [best, worst] = result.p99sMs;
  add('p99_best', best, 'ms');
  add('p99_worst', worst, 'ms');
  add('sent_p99', result.sentP99Ms, 'ms');
  add('commit_p99', result.commitP99Ms, 'ms');
  add('cpu', result.cpuUs, 'µs/change');
  addMemory(add, result.rssMb);
}
