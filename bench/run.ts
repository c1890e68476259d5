import { createConnection } from 'mysql2/promise';

import type { Client } from 'pg';

import { startStack, type Stack } from '../stack/stack.ts';
import type { Bench, BenchOptions } from './bench.ts';
import { bulkSet, oltpSet } from './data-set.ts';
import { decodeFigures } from './decode.ts';
import { type Judge, latencyFigures } from './latency-figures.ts';
import { benchDatabase, load } from './load.ts';
import { logKinds } from './plan.ts';
import { produceFigures } from './produce.ts';
import { logFigures } from './stage-figures.ts';
import { connectPostgres } from './target.ts';

/** Every figure that is wanted, one after the other: nothing else of ours is at work meanwhile. */
export async function runFigures(options: BenchOptions): Promise<void> {
  const { say, only, scale, ahead } = options;
  const holdsFloors = scale >= 1;
  const needsKafka = only.some((name) => name === 'produce' || name.startsWith('kafka-'));
  const log = (line: string) => say.line(line);
  await using kafka = needsKafka ? await startStack({ servers: ['kafka'], log, isPrivate: true }) : undefined;
  if (only.some((name) => name !== 'produce')) {
    await using stack = await startStack({ servers: ['mysql', 'postgres'], log, isPrivate: true });
    const postgresUrl = await makeDatabases(stack);
    const client = await connectPostgres(postgresUrl);
    try {
      await pipelineFigures({ ...options, stack, kafka, postgresUrl, client, holdsFloors, upserts: { fastest: undefined } });
    } finally {
      await client.end();
    }
  }
  if (!kafka || !only.includes('produce')) return;
  ahead.begin('produce');
  await produceFigures({ url: kafka.urls.kafka, scale, holdsFloors, say, add: options.add });
}

async function pipelineFigures(bench: Bench): Promise<void> {
  const { stack, only, scale, say, ahead } = bench;
  // Before the large sets: on a server with much to write back, a commit waits for the disk longer than for us.
  const latencies: Judge[] = [];
  for (const log of logKinds)
    if (only.includes(log === 'kafka' ? 'kafka-latency' : 'latency')) latencies.push(...(await latencyFigures(bench, log)));
  for (const make of [bulkSet, oltpSet]) {
    const set = make(scale);
    if (!only.some((name) => name.endsWith(set.name))) continue;
    ahead.begin(`loading ${set.name}`);
    const loaded = await load(stack.urls.mysql, set, say);
    if (only.includes(`decode-${set.name}`)) {
      ahead.begin(`decode-${set.name}`);
      await decodeFigures({ url: stack.urls.mysql, say, add: bench.add, holdsFloors: bench.holdsFloors }, loaded);
    }
    for (const log of logKinds) await logFigures(bench, loaded, log);
  }
  for (const judge of latencies) judge(bench.upserts.fastest);
}

async function makeDatabases(stack: Stack<'mysql' | 'postgres'>): Promise<string> {
  const mysql = await createConnection({ uri: stack.urls.mysql });
  await mysql.query(`CREATE DATABASE ${benchDatabase} CHARACTER SET utf8mb4`);
  await mysql.end();
  const client = await connectPostgres(stack.urls.postgres);
  await client.query(`CREATE DATABASE ${benchDatabase}`);
  await warmUp(client);
  await client.end();
  const url = new URL(stack.urls.postgres);
  url.pathname = `/${benchDatabase}`;
  return url.href;
}

/**
 * A new server makes each file of its write-ahead log when it first needs it, and whoever commits then waits for the disk. One
 * that has been at work for a while takes old ones, and that is what latency is measured on.
 */
async function warmUp(client: Client): Promise<void> {
  await client.query(`CREATE TABLE warm AS SELECT repeat(md5(n::text), 8) AS text FROM generate_series(1, 400000) AS n`);
  await client.query('DROP TABLE warm');
  await client.query('CHECKPOINT');
}
