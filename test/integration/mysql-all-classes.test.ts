/**
 * TABLE_MAP's lists cover only the columns of their class, and each server has its own idea of who is of which: a column that
 * one side counts and the other does not gives every column behind it what belongs to its neighbour.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allTypes } from '../support/mysql-all-types.ts';
import { ValueServer } from '../support/mysql-values.ts';

/** Of each class two with different answers, the text told apart by its bytes. */
const probes = ["a VARCHAR(9) CHARACTER SET latin1 DEFAULT 'é'", "b VARCHAR(9) CHARACTER SET utf8mb4 DEFAULT 'Zoë'"];
const others = [
  'u INT UNSIGNED DEFAULT 4000000000',
  's SMALLINT DEFAULT -1',
  "e ENUM('ä') CHARACTER SET latin1 DEFAULT 'ä'",
  "t SET('ü', 'x') CHARACTER SET utf8mb4 DEFAULT 'ü,x'",
  'p POINT',
  'g GEOMETRYCOLLECTION',
  "z TEXT CHARACTER SET koi8r DEFAULT ('я')",
];
const expected = { a: 'é', b: 'Zoë', u: 4_000_000_000, s: -1, e: 'ä', t: 'ü,x', p: null, g: null, z: 'я' };
/** With many columns of one collation a server names the usual one once; with many different ones it lists them all. */
const usual = Array.from({ length: 6 }, (_, index) => `usual${index} VARCHAR(9)`);
const different = ['latin2', 'greek', 'koi8r', 'gbk', 'cp1251', 'sjis'].map((set) => `${set} VARCHAR(9) CHARACTER SET ${set}`);

describe.each(['mysql', 'mariadb'] as const)('G6: every type of %s between others', (name) => {
  let server: ValueServer;
  beforeAll(async () => {
    server = await ValueServer.open(name);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test.each([
    ['one collation named, and exceptions', usual],
    ['a collation for each', different],
  ])('a text of either character set, a sign, labels behind each: %s', { timeout: 120_000 }, async (_, more) => {
    const types = allTypes(name).map((type) => (type.includes('TIMESTAMP') ? `${type} NULL` : type));
    const tables = types.map((_, index) => ({ database: server.database.name, table: `${more === usual ? 'u' : 'd'}${index}` }));
    for (const [index, type] of types.entries()) {
      const columns = ['id INT PRIMARY KEY', `c0 ${type}`, probes[0], `c1 ${type}`, probes[1], ...others, `c2 ${type}`, ...more];
      // Two texts in the other order, and the type first of all.
      if (index % 2 === 1) columns.reverse();
      await server.sql.query(`CREATE TABLE ${tables[index]?.table} (${columns.join(', ')}) CHARACTER SET utf8mb4`);
    }
    const source = server.source(...tables);
    const start = await source.start();
    for (const { table } of tables) await server.sql.query(`INSERT INTO ${table} (id) VALUES (1)`);
    const described = new Map((await source.schemas(tables)).map((schema) => [schema.table.table, schema]));
    const seen = new Set<string>();
    for await (const { changes } of source.read(start, AbortSignal.timeout(60_000))) {
      for (const { schema, after } of changes) {
        const { table } = schema.table;
        const type = types[Number(table.slice(1))];
        // Of defaults the binlog says nothing.
        expect(described.get(table), type).toMatchObject(schema);
        expect(JSON.parse(Buffer.from(after ?? []).toString('utf8')), type).toMatchObject(expected);
        seen.add(table);
      }
      if (seen.size === types.length) break;
    }
  });

  test('values of a place, two texts behind it', async () => {
    await server.sql.query(
      'CREATE TABLE place (id INT PRIMARY KEY, g GEOMETRY, c VARCHAR(9) CHARACTER SET latin1, d VARCHAR(9)) CHARACTER SET utf8mb4',
    );
    const source = server.source({ database: server.database.name, table: 'place' });
    const start = await source.start();
    await server.sql.query("INSERT INTO place VALUES (1, ST_GeomFromText('POINT(1 2)'), 'é', 'Zoë')");
    expect(await server.decode(source, start, 1)).toMatchObject([{ id: 1, c: 'é', d: 'Zoë' }]);
  });
});
