/**
 * Moments in the middle of the one large transaction. Its rows reach the binlog at its commit, all at once; then capture writes
 * them to the log part by part, and books into an open transaction of the target. Whoever carries it on there is frozen as soon
 * as it is seen at work, and looked at again: so it is known to be in the middle whatever is killed next.
 */
import { createConnection } from 'mysql2/promise';
import pg from 'pg';
import type { Daemon } from './process.ts';
import type { Rig } from './rig.ts';
import { pause, until } from './wait.ts';

/** Who stands still in the middle. */
export type Carrier = 'capture' | 'books';

const attempts = 10;
const lookEveryMs = 5;
/** Half of what a quick capture needs for one of its parts: it is not seen too late. */
const runAtMostMs = 50;

/** Answers the frozen process; whoever asks wakes it or kills it. `share`: of the rows, that are in the log at least, from 0 to 1. */
export async function frozenInTheMiddle(rig: Rig, carrier: Carrier, rows: number, share: number): Promise<Daemon> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    await untilBulkIsEqual(rig);
    const bulk = rig.workload.bulk(rows);
    // It is awaited by its effect: a server that is killed next takes its answer along.
    bulk.catch(() => undefined);
    if (await (carrier === 'capture' ? frozenInTheLog(rig, rows, share) : frozenInTheTarget(rig))) return rig[carrier];
    rig[carrier].kill('SIGCONT');
    await bulk;
  }
  throw new Error(`${attempts} transactions of ${rows} rows went by ${carrier} before it could be frozen in one`);
}

/** Looked at only while it is frozen: it writes 10,000 rows at a time, a tenth of a second apart, and a look can take as long. */
async function frozenInTheLog(rig: Rig, rows: number, share: number): Promise<boolean> {
  const topic = `${rig.addresses.database}.${rig.addresses.database}.bulk`;
  const before = await rig.log.captured(topic);
  let written = 0;
  await reached(rig, async () => {
    rig.capture.kill('SIGSTOP');
    try {
      written = (await rig.log.captured(topic)) - before;
      if (written > rows * share) return true;
    } catch (error) {
      if (!isHalfWritten(error)) throw error;
    }
    rig.capture.kill('SIGCONT');
    return false;
  });
  return written < rows;
}

/** SQLITE_PROTOCOL: it stands between the two copies of the index's head, and nobody can read the embedded log until it goes on. */
const isHalfWritten = (error: unknown) => error instanceof Error && 'errcode' in error && error.errcode === 15;

async function frozenInTheTarget(rig: Rig): Promise<boolean> {
  const client = new pg.Client({ connectionString: rig.addresses.postgres });
  await client.connect();
  try {
    const sum = async () => (await client.query<{ sum: string | null }>('SELECT sum(round) AS sum FROM bulk')).rows[0]?.sum;
    const before = await sum();
    const isAtWork = async () => (await client.query(atWork)).rows.length > 0;
    let isDone = false;
    await reached(rig, async () => (await isAtWork()) || (isDone = (await sum()) !== before));
    if (isDone) return false;
    rig.books.kill('SIGSTOP');
    // The server may still be at what it was sent: it is over when that waits for more, or has committed.
    for (;;) {
      const { rows } = await client.query<{ waits: boolean }>(atWork);
      if (rows.length === 0) return false;
      if (rows[0]?.waits === true) return (await sum()) === before;
      await pause(lookEveryMs);
    }
  } finally {
    await client.end();
  }
}

/** The transaction that has written into the table and is not committed. */
const atWork = `SELECT a.wait_event = 'ClientRead' AS waits FROM pg_stat_activity a JOIN pg_locks l ON l.pid = a.pid
  WHERE l.relation = 'public.bulk'::regclass AND l.mode = 'RowExclusiveLock' AND l.granted AND a.application_name LIKE 'crossfade %/books'`;

async function reached(rig: Rig, condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  for (;;) {
    const beganMs = performance.now();
    if (await condition()) return;
    if (Date.now() > deadline) throw new Error(`the large transaction does not come\n${await rig.logs()}`);
    // Who stands still while it is looked at has to run about as long: on a busy machine one look takes a second.
    await pause(Math.min(runAtMostMs, Math.max(lookEveryMs, performance.now() - beganMs)));
  }
}

/** The large transactions so far are in the target: what comes next is the next one. */
async function untilBulkIsEqual(rig: Rig): Promise<void> {
  const { addresses } = rig;
  const sql = 'SELECT count(*) AS n, coalesce(sum(round), 0) AS sum FROM bulk';
  const inSource = async () => {
    const connection = await createConnection({ uri: `${addresses.mysql}/${addresses.database}`, connectTimeout: 2000 });
    try {
      return String(((await connection.query({ sql, rowsAsArray: true }))[0] as unknown[][])[0]);
    } finally {
      connection.destroy();
    }
  };
  const inTarget = async () => {
    const client = new pg.Client({ connectionString: addresses.postgres, connectionTimeoutMillis: 2000 });
    try {
      await client.connect();
      return String((await client.query<unknown[]>({ text: sql, rowMode: 'array' })).rows[0]);
    } finally {
      await client.end();
    }
  };
  await until(
    async () => (await inSource()) === (await inTarget()),
    240_000,
    async () => `the large transactions so far are applied\n${await rig.logs()}`,
  );
}
