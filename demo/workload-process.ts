/**
 * The shop at work, in a process of its own: `node demo/workload-process.ts`, started by workload.ts with an IPC channel.
 * It outlives a killed MySQL (it connects again and looks what is there) and ends when its parent says so or is gone.
 */
import { setTimeout as sleep } from 'node:timers/promises';

import { createConnection, type Connection, type ResultSetHeader, type RowDataPacket } from 'mysql2/promise';

import { Random } from './random.ts';
import { bestsellers, shopDatabase } from './shop.ts';
import { nextPlan, openingPlans, type Model, type Plan } from './transactions.ts';
import type { FromWorkload, ToWorkload, WorkloadCounts } from './workload.ts';

const counts: WorkloadCounts = { changes: 0, transactions: 0, rollbacks: 0, reconnects: 0 };
const stop = new AbortController();
let orphans: readonly number[] = [];

const say = (message: FromWorkload) => {
  if (process.connected) process.send?.(message);
};

process.on('SIGINT', () => undefined); // Ctrl-C reaches the whole foreground group; the parent decides what ends when.
process.on('message', (message: ToWorkload) => {
  if (message.kind === 'stop') stop.abort();
  else if (message.kind === 'orphans') orphans = message.pids;
  else void work(message.url, message.seed, message.changesPerSecond, message.open);
});
process.on('disconnect', () => {
  // The parent was killed: what it would have stopped is stopped from here.
  stop.abort();
  for (const pid of orphans) endQuietly(pid);
});

function endQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It is gone already, which is what was wanted.
  }
}

async function work(url: string, seed: number, changesPerSecond: number, open: boolean): Promise<void> {
  const random = new Random(seed);
  let mustOpen = open;
  let isTold = false;
  while (!stop.signal.aborted) {
    try {
      const connection = await createConnection({
        uri: url,
        database: shopDatabase,
        charset: 'utf8mb4',
        timezone: 'Z',
        connectTimeout: 2000,
      });
      connection.on('error', () => undefined); // The next statement tells of it too, and that one is awaited.
      await connection.query("SET time_zone = '+00:00'");
      if (mustOpen) for (const plan of openingPlans(random)) await commit(connection, plan);
      mustOpen = false;
      isTold = false;
      await serve(connection, random, changesPerSecond);
      await connection.end();
    } catch (error) {
      if (stop.signal.aborted) break;
      counts.reconnects += 1;
      if (!isTold) say({ kind: 'trouble', message: error instanceof Error ? error.message : String(error) });
      isTold = true;
      await sleep(500, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }
  say({ kind: 'done', counts });
  // Our own leave must not be taken for the parent's death.
  orphans = [];
  process.disconnect?.();
}

async function serve(connection: Connection, random: Random, changesPerSecond: number): Promise<void> {
  const model = await look(connection);
  const startedMs = performance.now();
  const changesBefore = counts.changes;
  let toldMs = 0;
  let pulseMs = 0;
  while (!stop.signal.aborted) {
    const nowMs = performance.now();
    if (nowMs - toldMs > 50) {
      toldMs = nowMs;
      say({ kind: 'counts', counts });
    }
    const due = ((nowMs - startedMs) / 1000) * changesPerSecond;
    if (counts.changes - changesBefore >= due) {
      await sleep(4);
      continue;
    }
    const plan = nextPlan(model, random);
    const insertId = await commit(connection, plan);
    plan.learn?.(model, insertId);
    if (plan.pulse && nowMs - pulseMs > 60) {
      pulseMs = nowMs;
      say({ kind: 'pulse', orderId: insertId, ...plan.pulse, changes: counts.changes, committedAtMs: Date.now() });
    }
  }
  say({ kind: 'counts', counts });
}

/** Answers the insert id of the first statement. A lost connection in the middle leaves the server to decide; the model is read again. */
async function commit(connection: Connection, plan: Plan): Promise<number> {
  let changes = 0;
  let insertId = 0;
  await connection.query('BEGIN');
  for (const [index, { sql, parameters, isUndone }] of plan.statements.entries()) {
    const [result] = await connection.query<ResultSetHeader>(sql, [...parameters]);
    if (index === 0) insertId = result.insertId;
    if (!isUndone) changes += sql.startsWith('UPDATE') ? result.changedRows : result.affectedRows;
  }
  await connection.query(plan.end);
  if (plan.end === 'ROLLBACK') counts.rollbacks += 1;
  else {
    counts.transactions += 1;
    counts.changes += changes;
  }
  return insertId;
}

async function look(connection: Connection): Promise<Model> {
  const column = async (text: string): Promise<unknown[]> => {
    const [rows] = await connection.query<RowDataPacket[][]>({ sql: text, rowsAsArray: true });
    return rows.map((row) => row[0] as unknown);
  };
  const skus = (await column('SELECT sku FROM stock')).map(String).filter((sku) => !(bestsellers as readonly string[]).includes(sku));
  return {
    customers: (await column('SELECT id FROM customers ORDER BY id')).map(Number),
    orders: (await column('SELECT id FROM orders ORDER BY id')).map(Number),
    skus,
    nextSku: Math.max(9999, ...skus.map((sku) => Number(sku.slice(4)))) + 1,
    revision: Number((await column('SELECT COALESCE(MAX(revision), 0) FROM stock'))[0]),
  };
}
