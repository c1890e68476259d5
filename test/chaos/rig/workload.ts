import { createConnection, type Connection } from 'mysql2/promise';
import { seededRandom, type Random } from './random.ts';
import { pause } from './wait.ts';

/**
 * Mixed, seeded, and indifferent to a server that dies: inserts, updates, deletes, key changes, transactions over
 * several tables, rollbacks, savepoints. What a lost commit became is the server's secret; the comparison asks it.
 */
export class MixedWorkload {
  readonly #url: string;
  readonly #seed: number;
  readonly #pauseMs: number;
  readonly #writers: Promise<void>[] = [];
  #stopped = false;
  #round = 0;
  transactions = 0;

  constructor(url: string, seed: number, pauseMs = 10) {
    this.#url = url;
    this.#seed = seed;
    this.#pauseMs = pauseMs;
  }

  start(writers = 3): this {
    for (let writer = 0; writer < writers; writer += 1) this.#writers.push(this.#write(seededRandom(this.#seed * 31 + writer)));
    return this;
  }

  /**
   * One transaction that writes every row of `bulk`, again each time; resolves when its commit was answered. A server that
   * dies over it takes it along: it is tried again.
   */
  async bulk(rows: number): Promise<void> {
    this.#round += 1;
    const digits =
      '(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)';
    const number = 'a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d';
    const sql = `REPLACE INTO bulk SELECT n, ?, CONCAT('row ', n, ' of round ', ?) FROM (SELECT ${number} AS n
      FROM ${digits} a, ${digits} b, ${digits} c, ${digits} e, ${digits} f, ${digits} g) numbers WHERE n < ?`;
    while (!this.#stopped) {
      let connection: Connection | undefined;
      try {
        connection = await createConnection({ uri: this.#url, connectTimeout: 2000 });
        await connection.query(sql, [this.#round, this.#round, rows]);
        this.transactions += 1;
        return;
      } catch (error) {
        if (!expected(error)) throw error;
        await pause(100);
      } finally {
        connection?.destroy();
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#writers);
  }

  async #write(random: Random): Promise<void> {
    let connection: Connection | undefined;
    while (!this.#stopped) {
      try {
        connection ??= await createConnection({ uri: this.#url, connectTimeout: 2000 });
        await transaction(connection, random);
        this.transactions += 1;
        await pause(this.#pauseMs * 2 * random.next());
      } catch (error) {
        if (!expected(error)) throw error;
        connection?.destroy();
        connection = undefined;
        await pause(50);
      }
    }
    await connection?.end().catch(() => {});
  }
}

/** Server gone, duplicate keys and deadlocks belong to the game; a statement that is wrong does not. */
function expected(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' && !/^ER_(PARSE|BAD_FIELD|NO_SUCH|WRONG)/.test(code);
}

async function transaction(connection: Connection, random: Random): Promise<void> {
  const statements = 1 + random.below(5);
  await connection.query('BEGIN');
  for (let count = 0; count < statements; count += 1) {
    if (random.next() < 0.1) await savepoint(connection, random);
    else await statement(connection, random);
  }
  await connection.query(random.next() < 0.12 ? 'ROLLBACK' : 'COMMIT');
}

async function savepoint(connection: Connection, random: Random): Promise<void> {
  await connection.query('SAVEPOINT here');
  await statement(connection, random);
  await connection.query(random.next() < 0.6 ? 'ROLLBACK TO SAVEPOINT here' : 'RELEASE SAVEPOINT here');
}

const texts = [
  'plain',
  'it\'s "quoted"',
  'back\\slash',
  'tab\tnew\nline',
  'emoji 😀',
  'ünï',
  '',
  '{"a":1},"after":{',
  'NULL',
  '\\N',
  ' trailing ',
];

async function statement(connection: Connection, random: Random): Promise<void> {
  const id = 1 + random.below(400);
  const line = random.below(6);
  const sku = `S-${random.below(200)}`;
  const text = random.next() < 0.2 ? null : random.pick(texts);
  const amount = ((random.next() - 0.5) * 10 ** random.below(8)).toFixed(4);
  const money = ((random.next() - 0.5) * 1e6).toFixed(2);
  const roll = random.next();
  if (roll < 0.3) {
    const values = [
      id,
      random.pick(texts),
      money,
      random.next() * 10 ** (random.below(40) - 20),
      Buffer.from(random.pick(texts)).subarray(0, 12),
    ];
    const sql = `INSERT INTO accounts VALUES (?,?,?,?,?,?,?,?) ON DUPLICATE KEY UPDATE balance = VALUES(balance), note = VALUES(note), seen = VALUES(seen)`;
    await connection.query(sql, [...values, random.pick(['new', 'open', 'closed']), text, '2026-02-28 23:59:59.123456']);
  } else if (roll < 0.45) {
    await connection.query('REPLACE INTO entries VALUES (?,?,?,?)', [id, line, amount, text]);
  } else if (roll < 0.55) {
    await connection.query('UPDATE accounts SET balance = balance + 1, state = ? WHERE id BETWEEN ? AND ?', [
      random.pick(['open', 'closed']),
      id,
      id + 5,
    ]);
  } else if (roll < 0.62) {
    await connection.query('DELETE FROM accounts WHERE id = ?', [id]);
  } else if (roll < 0.68) {
    await connection.query('UPDATE IGNORE accounts SET id = ? WHERE id = ?', [1 + random.below(400), id]);
  } else if (roll < 0.74) {
    await connection.query('UPDATE entries SET line = line + 6 WHERE account = ? AND line < 6', [id]);
  } else if (roll < 0.8) {
    await connection.query('DELETE FROM entries WHERE account = ?', [id]);
  } else if (roll < 0.9) {
    await connection.query('INSERT INTO items VALUES (?,?,?,?) ON DUPLICATE KEY UPDATE stock = stock + 1, title = VALUES(title)', [
      sku,
      line,
      money.slice(0, 9),
      text,
    ]);
  } else if (roll < 0.94) {
    await connection.query('DELETE FROM items WHERE sku = ?', [sku]);
  } else if (roll < 0.97) {
    await connection.query('UPDATE IGNORE items SET sku = ? WHERE sku = ?', [`S-${random.below(200)}`, sku]);
  } else {
    await connection.query('INSERT INTO ignored (text) VALUES (?)', [text]);
  }
}
