/** Values whose length has a fourth byte that is not 0: beyond 16 MB, from both servers. */
import { createHash } from 'node:crypto';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { expect, test } from 'vitest';
import { mysqlSettings, mysqlSource } from '../support/mysql-server.ts';
import { privateStack } from '../support/servers.ts';

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const lengths = [2 ** 24 - 1, 2 ** 24, 2 ** 24 + 0x10203];
/** Bytes of every kind, in a rhythm that no power of two has. */
const pattern = Buffer.from(Uint8Array.from({ length: 251 }, (_, at) => at));
const text = 'aü"\\😀 and a plain end';

test.each(['mysql', 'mariadb'] as const)('G6: blobs and texts of 16 MB and more of %s', { timeout: 180_000 }, async (name) => {
  await using stack = await privateStack({ servers: [name], extraArgs: { [name]: ['--max-allowed-packet=64M'] } });
  const url = stack.urls[name];
  const sql = await createConnection({ uri: url, multipleStatements: true });
  try {
    await sql.query('CREATE DATABASE huge; USE huge; CREATE TABLE t (id INT PRIMARY KEY, b LONGBLOB, c LONGTEXT CHARACTER SET utf8mb4)');
    const source = mysqlSource(mysqlSettings(url), [{ database: 'huge', table: 't' }]);
    const start = await source.start();
    const part = (piece: string, bytes: number, length: number) => `LEFT(REPEAT(${piece}, ${Math.ceil(length / bytes)}), ${length})`;
    const blob = `X'${pattern.toString('hex')}'`;
    const characters = `CONVERT(X'${Buffer.from(text).toString('hex')}' USING utf8mb4)`;
    for (const [id, length] of lengths.entries()) {
      await sql.query(`INSERT INTO t VALUES (${id}, ${part(blob, pattern.length, length)}, NULL)`);
      await sql.query(`INSERT INTO t VALUES (${id + 10}, NULL, REPEAT(${characters}, ${Math.ceil(length / Buffer.byteLength(text))}))`);
    }
    const [rows] = await sql.query<RowDataPacket[]>(
      'SELECT id, LENGTH(b) AS bytes, LENGTH(c) AS size, SHA2(b, 256) AS b, SHA2(c, 256) AS c FROM t ORDER BY id',
    );
    expect(rows.slice(0, 3).map((row) => Number(row['bytes']))).toEqual(lengths);
    expect(rows.slice(3).every((row, at) => Number(row['size']) >= (lengths[at] as number))).toBe(true);
    const seen = new Map<number, unknown>();
    for await (const { changes } of source.read(start, AbortSignal.timeout(120_000))) {
      for (const { after } of changes) {
        const row = JSON.parse(Buffer.from(after ?? []).toString('utf8')) as { id: number; b: string | null; c: string | null };
        const b = row.b === null ? null : digest(Buffer.from(row.b, 'base64'));
        const c = row.c === null ? null : digest(Buffer.from(row.c));
        seen.set(row.id, { id: row.id, b, c });
      }
      if (seen.size === rows.length) break;
    }
    expect(rows.map((row) => seen.get(Number(row['id'])))).toEqual(rows.map(({ id, b, c }) => ({ id, b, c })));
  } finally {
    await sql.end();
  }
});
