/** Shapes of every type from both places, spatial values, vectors and labels, on both servers. */
import type { RowDataPacket } from 'mysql2/promise';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TableId, TableSchema } from '../../src/core/change.ts';
import { allTypes, characterSets } from '../support/mysql-all-types.ts';
import { hexLiteral, sample, ValueServer } from '../support/mysql-values.ts';

/** A label that has characters of its set, where there are some that are not ASCII. */
const labelWords =
  'latin1=€uro latin2=Łódź latin5=ığ latin7=ąž cp1250=šť cp1251=Жя cp1256=ش cp1257=ņ cp850=ß½ cp852=ů cp866=Жы koi8r=Юю koi8u=їґ greek=Ωα hebrew=שלום hp8=é dec8=ÿ swe7=åäö tis620=กขค macce=ř macroman=√ keybcs2=č armscii8=Ա geostd8=ა big5=中文 gbk=汉字 gb2312=汉字 sjis=表ソ cp932=①表 ujis=日本 eucjpms=① euckr=한글 gb18030=龦ḿ ucs2=日 utf16=日 utf16le=本 utf32=語 utf8mb3=日 utf8mb4=☃"\\\\ binary=ü';

describe.each(['mysql', 'mariadb'] as const)('%s', (name) => {
  let server: ValueServer;
  beforeAll(async () => {
    server = await ValueServer.open(name);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  /** The shape that the binlog tells of a table, and the one that the server describes. */
  async function shapes(table: TableId, insert: string): Promise<[binlog: TableSchema | undefined, described: TableSchema | undefined]> {
    const source = server.source(table);
    const start = await source.start();
    await server.sql.query(insert);
    for await (const batch of source.read(start, AbortSignal.timeout(20_000))) {
      const [change] = batch.changes;
      if (change) return [change.schema, (await source.schemas([table]))[0]];
    }
    return [undefined, undefined];
  }

  test('G6: the binlog and the description of the server give one shape for every type, id included', async () => {
    const types = allTypes(name);
    for (let at = 0; at < types.length; at += 50) {
      const table = { database: server.database.name, table: `all${at}` };
      const columns = types.slice(at, at + 50).map((type, index) => {
        const nullable = /TIMESTAMP/.test(type) ? `${type} NULL` : type;
        return `c${index} ${nullable}`;
      });
      await server.sql.query(`CREATE TABLE ${table.table} (id INT UNSIGNED PRIMARY KEY, ${columns.join(', ')}) CHARACTER SET utf8mb4`);
      const [binlog, described] = await shapes(table, `INSERT INTO ${table.table} (id) VALUES (1)`);
      // Of defaults and expressions the binlog says nothing.
      expect(described).toMatchObject({ columns: binlog?.columns });
      expect(binlog?.id).toBe(described?.id);
      expect(binlog?.columns.length).toBe(columns.length + 1);
    }
  });

  test('G6: the same of NOT NULL columns, keys of several columns in their order, and every character set', async () => {
    const sets = characterSets.filter((set) => name === 'mysql' || set !== 'gb18030');
    const table = { database: server.database.name, table: 'sets' };
    const columns = sets.map((set) => `${set} VARCHAR(70) CHARACTER SET ${set} NOT NULL DEFAULT ''`);
    await server.sql.query(
      `CREATE TABLE sets (b BIGINT NOT NULL, a BINARY(3) NOT NULL, ${columns.join(', ')}, PRIMARY KEY (a, b, ascii(5)))`,
    );
    const [binlog, described] = await shapes(table, "INSERT INTO sets (a, b) VALUES ('x', 1)");
    // Of defaults the binlog says nothing.
    expect(described).toMatchObject({ ...binlog });
    expect(binlog?.key).toEqual(['a', 'b', 'ascii']);
  });

  test('G6: geometries, with their SRID, as the bytes that are stored', async () => {
    const coordinate = fc
      .double({ min: -80, max: 80, noNaN: true })
      .map((value) => `${value}e0`.replace(/e(.*)e0$/, 'e$1').replace(/e0$/, ''));
    const point = fc.tuple(coordinate, coordinate).map(([x, y]) => `${x} ${y}`);
    const text = fc.oneof(
      point.map((at) => `POINT(${at})`),
      fc.array(point, { minLength: 2, maxLength: 9 }).map((all) => `LINESTRING(${all.join(',')})`),
      fc.array(point, { minLength: 1, maxLength: 5 }).map((all) => `MULTIPOINT(${all.join(',')})`),
      fc.tuple(point, point).map(([a, b]) => `GEOMETRYCOLLECTION(POINT(${a}),LINESTRING(${a},${b}))`),
      fc.constant('POLYGON((0 0,10 0,10 10,0 10,0 0),(2 2,4 2,4 4,2 2))'),
      fc.constant('MULTIPOLYGON(((0 0,10 0,10 10,0 0)),((20 20,30 20,30 30,20 20)))'),
      fc.constant('MULTILINESTRING((0 0,1 1),(2 2,3 3))'),
      fc.constant('GEOMETRYCOLLECTION EMPTY'),
    );
    const literals = sample(fc.tuple(text, fc.constantFrom(0, 4326, 3857))).map(([wkt, srid]) => `ST_GeomFromText('${wkt}', ${srid})`);
    expect(
      await server.differences({
        type: 'GEOMETRY',
        values: literals,
        select: 'HEX(v)',
        expected: (hex) => {
          const stored = Buffer.from(hex, 'hex');
          return { wkb: stored.subarray(4).toString('base64'), srid: stored.readUInt32LE(0) || null };
        },
      }),
    ).toEqual([]);
    // Longitude first, whatever order the reference system has.
    const order = name === 'mysql' ? "'POINT(1 2)', 4326, 'axis-order=lat-long'" : "'POINT(2 1)', 4326";
    expect(
      await server.differences({
        type: 'POINT',
        values: [`ST_GeomFromText(${order})`],
        select: 'HEX(v)',
        expected: () => ({ wkb: 'AQEAAAAAAAAAAAAAQAAAAAAAAPA/', srid: 4326 }),
      }),
    ).toEqual([]);
  });

  test('G6: ENUM and SET with labels in every character set that has them', async () => {
    const words: Readonly<Record<string, string>> = {
      ...Object.fromEntries(characterSets.map((set) => [set, 'abc'])),
      ...Object.fromEntries(labelWords.split(/\s+/).map((pair) => pair.split('=') as [string, string])),
    };
    const used = Object.entries(words).filter(([set]) => name === 'mysql' || set !== 'gb18030');
    const labels = (set: string, word: string) => `('x', '${word}', 'y') CHARACTER SET ${set}`;
    const columns = used.map(([set, word]) => `${set}_e ENUM${labels(set, word)}, ${set}_s SET${labels(set, word)}`);
    await server.sql.query(`CREATE TABLE labels (id INT PRIMARY KEY, ${columns.join(', ')})`);
    const table = { database: server.database.name, table: 'labels' };
    const source = server.source(table);
    const start = await source.start();
    for (const [id, bits] of [0, 2, 3, 7].entries())
      await server.sql.query(`INSERT INTO labels VALUES (${id}, ${used.map(() => `${id}, ${bits}`).join(', ')})`);
    const rows = await server.decode(source, start, 4);
    const cells = used.flatMap(([set]) => [`${set}_e`, `${set}_s`]);
    // Labels of the binary set are bytes, which the client would not take for text.
    const select = cells.map((cell) => (cell.startsWith('binary') ? `CONVERT(HEX(${cell}), CHAR) AS ${cell}` : cell));
    const [selected] = await server.sql.query<RowDataPacket[]>(`SELECT id, ${select.join(', ')} FROM labels ORDER BY id`);
    const expected = selected.map((row) => ({
      ...row,
      binary_e: Buffer.from(String(row['binary_e']), 'hex').toString('utf8'),
      binary_s: Buffer.from(String(row['binary_s']), 'hex').toString('utf8'),
    }));
    expect(rows).toEqual(expected);
    expect((await source.schemas([table]))[0]?.id).toBe(server.schemaId);
  });

  test('G6: labels beyond the basic plane: the binlog knows them, of the description the server makes question marks', async () => {
    const table = { database: server.database.name, table: 'faces' };
    await server.sql.query(
      "CREATE TABLE faces (id INT PRIMARY KEY, e ENUM('a', '😀') CHARACTER SET utf8mb4, s SET('𠀀') CHARACTER SET utf16)",
    );
    const [binlog, described] = await shapes(table, "INSERT INTO faces VALUES (1, '😀', 1)");
    expect(binlog?.columns.map(({ labels }) => labels)).toEqual([undefined, ['a', '😀'], ['𠀀']]);
    expect(described?.columns.map(({ labels }) => labels)).toEqual([undefined, ['a', '?'], ['?']]);
  });
});

describe('mysql alone', () => {
  let server: ValueServer;
  beforeAll(async () => {
    server = await ValueServer.open();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('G6: VECTOR: each element the shortest text of its 32-bit number', async () => {
    const element = fc.float({ noNaN: true, noDefaultInfinity: true });
    const vectors = sample(fc.array(element, { minLength: 1, maxLength: 40 })).map((all) => Float32Array.from(all));
    const edges = [
      [0, -0, 1, -1],
      [1e20, 1e21, -1e-7, 3.4028234663852886e38],
      [1.401298464324817e-45, 16777216, 0.1],
    ].map((all) => Float32Array.from(all));
    const all = [...edges, ...vectors];
    expect(
      await server.differences({
        type: 'VECTOR(40)',
        values: all.map((vector) => hexLiteral(new Uint8Array(vector.buffer))),
        select: 'HEX(v)',
        read: (cell) => (cell as readonly (number | bigint)[]).map((value) => Math.fround(Number(value))),
        expected: (hex) => [...new Float32Array(Uint8Array.from(Buffer.from(hex, 'hex')).buffer)],
      }),
    ).toEqual([]);
  });

  test('the columns that MySQL adds for indexes over expressions are nobody’s business, its generated key is', async () => {
    await server.sql.query('SET sql_generate_invisible_primary_key = ON');
    await server.sql.query(
      'CREATE TABLE expressions (a INT, j JSON, KEY f ((a * 2)), KEY many ((CAST(j AS UNSIGNED ARRAY))), UNIQUE KEY u ((UPPER(a))))',
    );
    const table = { database: server.database.name, table: 'expressions' };
    const source = server.source(table);
    const start = await source.start();
    await server.sql.query("INSERT INTO expressions VALUES (1, '[1, 2]'), (NULL, NULL)");
    const rows = await server.decode(source, start, 2);
    expect(rows).toEqual([
      { my_row_id: 1, a: 1, j: '[1, 2]' },
      { my_row_id: 2, a: null, j: null },
    ]);
    const [described] = await source.schemas([table]);
    expect(described?.id).toBe(server.schemaId);
    expect(described?.key).toEqual(['my_row_id']);
  });
});
