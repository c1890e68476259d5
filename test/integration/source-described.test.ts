/** What only the server's own description tells of a table: defaults of its columns, keys that could be NULL. */
import { describe, expect, test } from 'vitest';

import { freshMysqlDatabase } from '../support/servers.ts';
import { mysqlSettings, mysqlSource } from '../support/mysql-server.ts';

describe.each(['mysql', 'mariadb'] as const)('%s', (server) => {
  test('columns whose rows got a value without naming one are told, and are no other shape for it', { timeout: 120_000 }, async () => {
    await using database = await freshMysqlDatabase(server);
    await database.connection.query(
      `CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT NULL DEFAULT NULL, c INT DEFAULT 7, d VARCHAR(9) DEFAULT '', e INT NOT NULL, f INT AS (id + 1) STORED, g VARCHAR(9) NOT NULL DEFAULT 'x')`,
    );
    const table = { database: database.name, table: 't' };
    const source = mysqlSource(mysqlSettings(database.url), [table]);
    const [schema] = await source.schemas([table]);
    expect(schema?.columns.filter(({ hasDefault }) => hasDefault).map(({ name }) => name)).toEqual(['c', 'd', 'f', 'g']);
    await database.connection.query('ALTER TABLE t ALTER COLUMN c DROP DEFAULT');
    expect((await source.schemas([table]))[0]?.id).toBe(schema?.id);
  });

  test('a key of the configuration that can be NULL is refused', { timeout: 120_000 }, async () => {
    await using database = await freshMysqlDatabase(server);
    await database.connection.query('CREATE TABLE n (a INT, b INT NOT NULL)');
    const table = { database: database.name, table: 'n' };
    const named = (...key: string[]) => {
      const source = mysqlSource(mysqlSettings(database.url), [table], { keys: new Map([[`${database.name}.n`, key]]) });
      return source.check().then((findings) => findings.filter(({ where }) => where.endsWith('.n')));
    };
    expect(await named('b')).toEqual([]);
    expect(await named('b', 'a')).toMatchObject([
      { level: 'error', code: 'SOURCE_TABLE_KEYLESS', message: expect.stringContaining('column a of') as unknown },
    ]);
  });
});
