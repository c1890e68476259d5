/** Partial JSON updates on the real server: the image after each change holds the whole document that SELECT has then. */
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseExactJson } from '../../src/core/exact-json.ts';
import { changedSql } from '../support/json-changes.ts';
import { documentSql, scalar } from '../support/mysql-json.ts';
import { sample, seed, ValueServer } from '../support/mysql-values.ts';
import { seeded } from '../support/random.ts';

let server: ValueServer;
beforeAll(async () => {
  server = await ValueServer.open();
  await server.sql.query("SET SESSION binlog_row_value_options = 'PARTIAL_JSON'");
});
afterAll(() => server[Symbol.asyncDispose]());

const columns = ['a', 'b', 'c'] as const;
type State = Readonly<Record<'id' | 'n' | 't' | (typeof columns)[number], unknown>>;
interface Change {
  readonly before: State | null;
  readonly after: State | null;
}
const start = "JSON_OBJECT('a', JSON_ARRAY(1, 2, JSON_OBJECT('b', 'text')), 'b', JSON_OBJECT('a', 1.5, 'ü', REPEAT('y', 300)), 'n', NULL)";
const rows = 5;
const largest = 20_000;

async function stateOf(table: string, id: number): Promise<State> {
  const documents = columns.map((column) => `CAST(${column} AS CHAR) AS ${column}`).join(', ');
  const [[row]] = await server.sql.query<RowDataPacket[]>(`SELECT id, n, t, ${documents} FROM ${table} WHERE id = ?`, [id]);
  return { ...(row as State) };
}

/** Changes one row `steps` times and answers what each change was, by SELECT. */
async function change(table: string, steps: number): Promise<Change[]> {
  const random = seeded(seed);
  const values = [...sample(documentSql, 700), ...sample(scalar, 700)];
  const states: State[] = [];
  const changes: Change[] = [];
  for (let id = 0; id < rows; id += 1) {
    await server.sql.query(`INSERT INTO ${table} VALUES (${start}, ${id}, JSON_ARRAY(${start}, 2), 0, 'text', NULL)`);
    states.push(await stateOf(table, id));
    changes.push({ before: null, after: states[id] as State });
  }
  await server.sql.query('BEGIN');
  for (let step = 1; step <= steps; step += 1) {
    if (random.chance(0.02)) for (const statement of ['COMMIT', 'BEGIN']) await server.sql.query(statement);
    const id = random.int(rows);
    const before = states[id] as State;
    const sets = columns.flatMap((column) => {
      const text = before[column] as string | null;
      if (random.chance(0.3)) return [];
      if (text === null || text.length > largest || random.chance(0.02)) return `${column} = ${random.chance(0.3) ? 'NULL' : start}`;
      return `${column} = ${changedSql(column, text, values, random)}`;
    });
    if (sets.length === 0 || random.chance(0.3)) sets.push(`n = ${step}`);
    await server.sql.query(`UPDATE ${table} SET ${sets.join(', ')} WHERE id = ${id}`);
    const after = await stateOf(table, id);
    // A change that changes nothing is not in the binlog.
    if (JSON.stringify(after) === JSON.stringify(before)) continue;
    states[id] = after;
    changes.push({ before, after });
  }
  await server.sql.query('COMMIT');
  for (const before of states) changes.push({ before, after: null });
  await server.sql.query(`DELETE FROM ${table} ORDER BY id`);
  return changes;
}

test.each(['', 'compressed '])(
  'G6: JSON_SET, JSON_REPLACE and JSON_REMOVE, again and again, on several columns at once: %stransactions',
  async (how) => {
    const table = how === '' ? 'patched' : 'packed';
    await server.sql.query(`SET SESSION binlog_transaction_compression = ${how === '' ? 'OFF' : 'ON'}`);
    await server.sql.query(`CREATE TABLE ${table} (a JSON, id INT PRIMARY KEY, b JSON, n INT, t TEXT, c JSON)`);
    const source = server.source({ database: server.database.name, table });
    const from = await source.start();
    const expected = await change(table, how === '' ? 2000 : 300);
    const got: Change[] = [];
    const read = (image: Uint8Array | null) => (image === null ? null : (parseExactJson(Buffer.from(image).toString('utf8')) as State));
    for await (const batch of source.read(from, AbortSignal.timeout(50_000))) {
      for (const { before, after } of batch.changes) got.push({ before: read(before), after: read(after) });
      if (got.length >= expected.length) break;
    }
    expect(got).toHaveLength(expected.length);
    for (const [index, row] of expected.entries()) expect(got[index], `change ${index}`).toEqual(row);
    if (how !== '') return;
    const { file, pos } = JSON.parse(from) as { file: string; pos: number };
    const [events] = await server.sql.query<RowDataPacket[]>(`SHOW BINLOG EVENTS IN '${file}' FROM ${pos}`);
    expect(events.filter((event) => event['Event_type'] === 'Update_rows_partial').length).toBeGreaterThan(800);
  },
);

test('G6: many rows in one event, a table that is not captured beside them, and rows whose documents have holes', async () => {
  await server.sql.query('SET SESSION binlog_transaction_compression = OFF');
  for (const name of ['many', 'other'])
    await server.sql.query(
      `CREATE TABLE ${name} (id INT PRIMARY KEY, j JSON, ${name === 'other' ? 'g JSON AS (j) STORED' : 'v JSON AS (j) VIRTUAL'})`,
    );
  const values = Array.from(
    { length: 500 },
    (_, id) => `(${id}, JSON_OBJECT('id', ${id}, 'text', REPEAT('x', ${id}), 'list', JSON_ARRAY(1, 2, ${id})))`,
  );
  for (const name of ['many', 'other']) await server.sql.query(`INSERT INTO ${name} (id, j) VALUES ${values.join(', ')}`);
  const source = server.source({ database: server.database.name, table: 'many' });
  const from = await source.start();
  await server.sql.query('BEGIN');
  await server.sql.query("UPDATE other SET j = JSON_SET(j, '$.id', -1)");
  // Shorter values stay where the longer ones were; the images of the updates that follow have the holes.
  await server.sql.query("UPDATE many SET j = JSON_SET(j, '$.text', 'short', '$.list[2]', NULL)");
  await server.sql.query(
    "UPDATE many JOIN other USING (id) SET many.j = JSON_REMOVE(many.j, '$.list[0]'), other.j = JSON_REMOVE(other.j, '$.text')",
  );
  await server.sql.query('COMMIT');
  await server.sql.query("SET SESSION binlog_row_value_options = ''");
  await server.sql.query('UPDATE many SET id = id + 1000');
  const after: unknown[] = [];
  for await (const batch of source.read(from, AbortSignal.timeout(20_000))) {
    for (const change of batch.changes) after.push(parseExactJson(Buffer.from(change.after ?? []).toString('utf8')));
    if (after.length >= 1500) break;
  }
  const text = (id: number, list: string) => `{"id": ${id}, "list": ${list}, "text": "short"}`;
  const row = (id: number, j: string) => ({ id, j, v: j });
  const ids = Array.from({ length: 500 }, (_, id) => id);
  expect(after).toHaveLength(1500);
  expect(after.slice(0, 500)).toEqual(ids.map((id) => row(id, text(id, '[1, 2, null]'))));
  expect(after.slice(500, 1000)).toEqual(ids.map((id) => row(id, text(id, '[2, null]'))));
  expect(after.slice(1000)).toEqual(ids.map((id) => row(id + 1000, text(id, '[2, null]'))));
});
