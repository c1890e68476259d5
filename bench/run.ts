import { createConnection } from 'mysql2/promise';
import type { Client } from 'pg';

import { startStack, type Stack } from '../stack/stack.ts';
import { meterBackends } from './backend-meter.ts';
import { benchService, makeConfig } from './config-file.ts';
import { bulkSet, changesOf, oltpSet, recordsOf, rowsOf, tableDefinition } from './data-set.ts';
import { decodeFigures } from './decode.ts';
import { runEndToEnd } from './end-to-end.ts';
import { figure, type Figure, type Measured } from './figure.ts';
import { measureLatency } from './latency.ts';
import { benchDatabase, executedGtids, load, type Loaded } from './load.ts';
import { binlogTransport, copyAndUpsert, type Reference } from './peers.ts';
import { produceFigures } from './produce.ts';
import type { Say } from './say.ts';
import { runStage, type FromStage } from './stage.ts';
import { connectPostgres, emptyTarget, mysqlDigest, prove } from './target.ts';

export const figureNames = [
  'decode-bulk',
  'decode-oltp',
  'capture-bulk',
  'capture-oltp',
  'stages-bulk',
  'stages-oltp',
  'apply-bulk',
  'apply-oltp',
  'end-to-end-bulk',
  'end-to-end-oltp',
  'latency',
  'produce',
] as const;

export interface BenchOptions {
  readonly scale: number;
  readonly only: readonly string[];
  readonly latencySeconds: number;
  readonly say: Say;
  readonly add: (figure: Figure) => void;
}

interface Bench extends BenchOptions {
  readonly stack: Stack<'mysql' | 'postgres'>;
  readonly postgresUrl: string;
  readonly client: Client;
}

export async function runFigures(options: BenchOptions): Promise<void> {
  const { say, only, scale } = options;
  if (only.includes('produce')) await produceFigures(options);
  if (only.every((name) => name === 'produce')) return;
  await using stack = await startStack({ servers: ['mysql', 'postgres'], log: (line) => say.line(line), isPrivate: true });
  const postgresUrl = await makeDatabases(stack);
  const client = await connectPostgres(postgresUrl);
  try {
    const bench: Bench = { ...options, stack, postgresUrl, client };
    for (const make of [bulkSet, oltpSet]) {
      const set = make(scale);
      const wantsStages = only.includes(`stages-${set.name}`);
      const wantsAll = only.includes(`end-to-end-${set.name}`);
      const wantsDecode = only.includes(`decode-${set.name}`);
      const wantsApply = only.includes(`apply-${set.name}`) && !wantsStages;
      const wantsCapture = only.includes(`capture-${set.name}`) && !wantsStages;
      if (!wantsStages && !wantsApply && !wantsAll && !wantsDecode && !wantsCapture) continue;
      const loaded = await load(stack.urls.mysql, set, say);
      if (wantsDecode) await decodeFigures({ url: stack.urls.mysql, say, add: options.add }, loaded);
      if (wantsCapture) await captureFigures(bench, loaded);
      if (wantsStages || wantsApply) await stageFigures(bench, loaded, wantsApply);
      if (wantsAll) await endToEndFigures(bench, loaded);
    }
    if (only.includes('latency')) await latencyFigures(bench);
  } finally {
    await client.end();
  }
}

async function makeDatabases(stack: Stack<'mysql' | 'postgres'>): Promise<string> {
  const mysql = await createConnection({ uri: stack.urls.mysql });
  await mysql.query(`CREATE DATABASE ${benchDatabase} CHARACTER SET utf8mb4`);
  await mysql.end();
  const client = await connectPostgres(stack.urls.postgres);
  await client.query(`CREATE DATABASE ${benchDatabase}`);
  await client.end();
  const url = new URL(stack.urls.postgres);
  url.pathname = `/${benchDatabase}`;
  return url.href;
}

async function transport({ stack, say }: Bench, loaded: Loaded): Promise<Reference | undefined> {
  // Twice: the first finds the files cold, and the better of a peer's runs is the one to compare with.
  const runs = [];
  for (let n = 0; n < 2; n += 1)
    runs.push(await say.during('reference: mysqlbinlog --raw', () => binlogTransport(stack.servers.mysql, loaded)));
  return best(runs);
}

/** From the rows that our own run left there. It has one statement a row of the end state, we have one a change. */
async function upsert({ stack, postgresUrl, say }: Bench, { set }: Loaded): Promise<Reference | undefined> {
  return await say.during('reference: psql COPY + upsert', () =>
    copyAndUpsert(stack.servers.postgres, postgresUrl, { table: set.table, rows: rowsOf(set) }),
  );
}

const best = (runs: readonly (Reference | undefined)[]): Reference | undefined =>
  runs.reduce((a, b) => (b && (!a || b.value > a.value) ? b : a), undefined);

function adder(
  { add }: Bench,
  prefix: string,
): (name: string, value: number, unit: string, more?: Pick<Measured, 'reference' | 'isRight'>) => void {
  return (name, value, unit, more = {}) => add(figure({ name: `${prefix}.${name}`, value, unit, ...more }));
}

/** Capture alone into a new log, which must hold every record when it is opened again. */
async function captureFigures(bench: Bench, loaded: Loaded): Promise<void> {
  const { set } = loaded;
  using config = configFor(bench, loaded, `capture_${set.name}`);
  const task = { configPath: config.configPath, records: recordsOf(set), deadlineSeconds: 240, part: 'capture' } as const;
  await addCapture(bench, loaded, await bench.say.during(`capture → log, ${set.name}`, () => runStage(task)));
}

/** The transport's own speed is asked right behind it, so that both meet the same machine. */
async function addCapture(bench: Bench, loaded: Loaded, captured: FromStage): Promise<void> {
  const reference = await transport(bench, loaded);
  addStage(adder(bench, `capture_to_log.${loaded.set.name}`), captured, changesOf(loaded.set), { reference });
}

/** Capture alone into a new log, then apply alone from that log into an empty table. */
async function stageFigures(bench: Bench, loaded: Loaded, isApplyAlone: boolean): Promise<void> {
  const { set } = loaded;
  const { say, client } = bench;
  using config = configFor(bench, loaded, `stage_${set.name}`);
  await emptyTarget(client, set.table);
  const task = { configPath: config.configPath, records: recordsOf(set), deadlineSeconds: 240 };
  const captured = await say.during(`capture → log, ${set.name}`, () => runStage({ ...task, part: 'capture' }));
  if (!isApplyAlone) await addCapture(bench, loaded, captured);
  const apply = () => say.during(`log → Postgres, ${set.name}`, () => runStage({ ...task, part: 'apply', service: benchService }));
  const { answer: applied, cpuUs } = await meterBackends(bench.postgresUrl, 'crossfade %', apply);
  const isRight = await isProven(bench, loaded);
  const peer = await upsert(bench, loaded);
  const add = adder(bench, `log_to_postgres.${set.name}`);
  addStage(add, applied, changesOf(set), { reference: peer, isRight });
  // The reference has one statement a row of the end state, so only without updates and deletes are the two the same work.
  const reference = peer?.cpuUs === undefined ? undefined : { name: peer.name, value: peer.cpuUs };
  add('target_cpu', cpuUs / changesOf(set), 'µs/change', { reference });
}

function addStage(add: ReturnType<typeof adder>, stage: FromStage, changes: number, more: Pick<Measured, 'reference' | 'isRight'>): void {
  add('rate', changes / stage.seconds, 'changes/s', more);
  add('cpu', stage.cpuUs / changes, 'µs/change');
  add('rss', stage.rssMb, 'MB');
}

async function endToEndFigures(bench: Bench, loaded: Loaded): Promise<void> {
  const { set } = loaded;
  using config = configFor(bench, loaded, `all_${set.name}`);
  await emptyTarget(bench.client, set.table);
  const result = await bench.say.during(`end to end, ${set.name}`, () => runEndToEnd(config.folder, bench.client, set));
  const isRight = await isProven(bench, loaded);
  const reference = await upsert(bench, loaded);
  const add = adder(bench, `end_to_end.${set.name}`);
  add('rate', result.changesPerSecond, 'changes/s', { reference, isRight });
  add('cpu', result.cpuUsPerChange, 'µs/change');
  add('rss', result.rssMb, 'MB');
  add('first_row', result.firstRowSeconds, 's');
}

async function latencyFigures(bench: Bench): Promise<void> {
  const { stack, client, say, latencySeconds } = bench;
  const table = 'bench_latency';
  const mysql = await createConnection({ uri: stack.urls.mysql, database: benchDatabase });
  await mysql.query(tableDefinition(table));
  const startGtid = await executedGtids(mysql);
  await mysql.end();
  await emptyTarget(client, table);
  using config = makeConfig({ mysqlUrl: stack.urls.mysql, startGtid, postgresUrl: bench.postgresUrl, table, pipeline: 'latency' });
  const options = { folder: config.folder, mysqlUrl: stack.urls.mysql, client, table, rowsPerSecond: 1000, seconds: latencySeconds };
  const { p50Ms, p99Ms, rowsPerSecond } = await say.during('commit → visible at 1,000 rows/s', () => measureLatency(options));
  const { isEqual, difference } = await prove(await mysqlDigest(stack.urls.mysql, benchDatabase, table), client, table);
  if (!isEqual) say.line(`latency: the target differs: ${difference}`);
  // A writer that could not keep the rate up measured something else.
  const isRight = isEqual && rowsPerSecond > 900;
  if (rowsPerSecond <= 900) say.line(`latency: this machine wrote only ${rowsPerSecond} rows/s`);
  const add = adder(bench, 'latency.1000_per_second');
  add('p50', p50Ms, 'ms', { isRight });
  add('p99', p99Ms, 'ms', { isRight });
}

function configFor({ stack, postgresUrl }: Bench, { startGtid, set }: Loaded, pipeline: string) {
  return makeConfig({ mysqlUrl: stack.urls.mysql, startGtid, postgresUrl, table: set.table, pipeline });
}

async function isProven({ client, say }: Bench, { set, digest }: Loaded): Promise<boolean> {
  const proof = await say.during(`comparing ${set.table} in full`, () => prove(digest, client, set.table));
  if (!proof.isEqual) say.line(`${set.table} differs: ${proof.difference}`);
  return proof.isEqual && proof.rows === rowsOf(set);
}
