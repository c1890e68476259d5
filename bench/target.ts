/** The target side of every figure: an empty table, and the proof that it holds what the source holds. */
import { createHash, type Hash } from 'node:crypto';

import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';

export async function connectPostgres(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  await client.connect();
  return client;
}

const columns = ['id', 'customer_id', 'sku', 'title', 'status', 'amount', 'quantity', 'created_at', 'updated_at', 'note'] as const;

/** The types that `crossfade check --statements` names for the source's table. */
export async function emptyTarget(client: Client, table: string): Promise<void> {
  await client.query(`DROP TABLE IF EXISTS ${table}`);
  await client.query(`CREATE TABLE ${table} (id numeric(20) NOT NULL, customer_id integer NOT NULL, sku varchar(32) NOT NULL,
    title varchar(120) NOT NULL, status text NOT NULL CHECK (status IN ('','new','paid','packed','shipped','returned')),
    amount numeric(12,2) NOT NULL, quantity integer NOT NULL, created_at timestamp(3) NOT NULL, updated_at timestamptz(0) NOT NULL,
    note text, PRIMARY KEY (id))`);
}

export interface Proof {
  readonly isEqual: boolean;
  readonly rows: number;
  /** What differed, in words; empty when nothing did. */
  readonly difference: string;
}

/** Count, sums, and one hash over the whole table in key order, each side asked by its own driver. */
export async function prove(source: Digest, client: Client, table: string): Promise<Proof> {
  return proofOf(source, await postgresDigest(client, table));
}

/** Each part must be the same, and the hash alone would do: the others say what kind of difference it is. */
export function proofOf(source: Digest, target: Digest): Proof {
  const parts = ['rows', 'sumOfIds', 'sumOfAmounts', 'sumOfQuantities', 'hash'] as const;
  const differing = parts.filter((part) => source[part] !== target[part]);
  return {
    isEqual: differing.length === 0,
    rows: Number(source.rows),
    difference: differing.map((part) => `${part}: ${source[part]} against ${target[part]}`).join(', '),
  };
}

export interface Digest {
  readonly rows: string;
  readonly sumOfIds: string;
  readonly sumOfAmounts: string;
  readonly sumOfQuantities: string;
  readonly hash: string;
}

const pageRows = 20_000;
const sums = 'count(*), coalesce(sum(id), 0), coalesce(sum(amount), 0), coalesce(sum(quantity), 0)';

function addRow(hash: Hash, cells: readonly (string | null)[]): void {
  // JSON keeps NULL apart from '' and the cells apart from each other.
  hash.update(JSON.stringify(cells));
}

export async function mysqlDigest(url: string, database: string, table: string): Promise<Digest> {
  const connection = await createConnection({ uri: url, database, timezone: 'Z' });
  try {
    await connection.query("SET time_zone = '+00:00'");
    const ask = async (sql: string): Promise<(string | null)[][]> => {
      const [rows] = await connection.query({ sql, rowsAsArray: true, typeCast: (field) => field.string('utf8') });
      return rows as (string | null)[][];
    };
    return await digest(table, `SELECT ${sums} FROM ${table}`, `SELECT ${columns.join(', ')} FROM ${table}`, ask);
  } finally {
    await connection.end();
  }
}

async function postgresDigest(client: Client, table: string): Promise<Digest> {
  const text: Partial<Record<string, string>> = {
    created_at: `to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.MS')`,
    updated_at: `to_char(updated_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')`,
  };
  const list = columns.map((name) => text[name] ?? `${name}::text`).join(', ');
  const ask = async (sql: string): Promise<(string | null)[][]> =>
    (await client.query<(string | null)[]>({ text: sql, rowMode: 'array' })).rows;
  const [counts] = await ask(
    `SELECT ${sums
      .split(/, (?=c)/)
      .map((each) => `(${each})::text`)
      .join(', ')} FROM ${table}`,
  );
  return await digest(table, counts ?? [], `SELECT ${list} FROM ${table}`, ask);
}

async function digest(
  table: string,
  summing: string | (string | null)[],
  select: string,
  ask: (sql: string) => Promise<(string | null)[][]>,
): Promise<Digest> {
  const [rows, ids, amounts, quantities] = typeof summing === 'string' ? ((await ask(summing))[0] ?? []) : summing;
  const hash = createHash('sha256');
  // By pages of the key, so that no side has to hold the table in memory.
  for (let after = '0'; ;) {
    // The table's column, not the answer's: as text, 10 would come before 9.
    const page = await ask(`${select} WHERE ${table}.id > ${after} ORDER BY ${table}.id LIMIT ${pageRows}`);
    for (const cells of page) addRow(hash, cells);
    const last = page.at(-1)?.[0];
    if (page.length < pageRows || last === undefined || last === null) break;
    after = last;
  }
  return {
    rows: rows ?? '',
    sumOfIds: ids ?? '',
    sumOfAmounts: amounts ?? '',
    sumOfQuantities: quantities ?? '',
    hash: hash.digest('hex'),
  };
}
