/**
 * PostGIS and pgvector, where a server has them: `CROSSFADE_TEST_EXTENSIONS=postgres://…` names one on which this suite may
 * make databases. Most machines have none; then the texts that these types read are held by unit tests alone.
 */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { copyFromRows } from '../../connectors/postgres/row-steps.ts';
import { postgresSchema } from '../../connectors/postgres/config.ts';
import { openPostgresSink } from '../../connectors/postgres/sink.ts';
import type { Row, TableSchema } from '../../src/core/change.ts';
import type { Mapping, Sink } from '../../src/core/sink-port.ts';
import { Batches, column, mappingTo, tableOf } from './postgres-fixture.ts';

const server = process.env['CROSSFADE_TEST_EXTENSIONS'];
const point = Buffer.from('0101000000000000000000244000000000000034c0', 'hex');
const empty = Buffer.from('010700000000000000', 'hex');

describe.skipIf(server === undefined).each(['public', 'Ext'])('extensions in schema %s', (home) => {
  const name = `crossfade_extensions_${process.pid}`;
  let client: Client;
  let sinks: Sink[];
  const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const url = () => {
    const own = new URL(server ?? '');
    own.pathname = `/${name}`;
    return own.href;
  };
  const open = async (mappings: readonly Mapping[]) => {
    const sink = await openPostgresSink(postgresSchema.parse(url()), { pipeline: 'test', service: 'maps', mappings, logger: quiet });
    sinks.push(sink);
    return sink;
  };
  /** What is said of the table; the server itself may be as careless as a test server is. */
  const check = async (sink: Sink, schema: TableSchema) => (await sink.check([schema])).filter(({ where }) => where.includes(':'));
  const onServer = async (sql: string) => {
    const maker = new Client({ connectionString: server });
    await maker.connect();
    await maker.query(sql);
    await maker.end();
  };

  beforeAll(async () => {
    sinks = [];
    await onServer(`CREATE DATABASE ${name}`);
    client = new Client({ connectionString: url() });
    await client.connect();
    await client.query(
      `CREATE SCHEMA IF NOT EXISTS "${home}"; CREATE EXTENSION postgis SCHEMA "${home}"; CREATE EXTENSION vector SCHEMA "${home}"`,
    );
  });
  afterAll(async () => {
    for (const sink of sinks) await sink[Symbol.asyncDispose]();
    await client.end();
    await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  });

  const places = tableOf(
    'places',
    ['id'],
    [
      column('id', { nullable: false }),
      column('spot', { kind: 'geometry', type: 'geometry' }),
      column('near', { kind: 'vector', type: 'vector(3)' }),
    ],
  );

  test('check proposes their types, and both ways of writing fill them exactly', async () => {
    const sink = await open([mappingTo(places)]);
    const [missing] = await check(sink, places);
    const prefix = home === 'public' ? '' : `"${home}".`;
    expect(missing?.fix).toContain(`"spot" ${prefix}geometry,\n  "near" ${prefix}vector(3)`);
    await client.query(missing?.fix ?? '');
    expect(await check(sink, places)).toEqual([]);
    const rows: readonly Row[] = [
      { id: 0, spot: { wkb: point, srid: 4326 }, near: [1.5, -0, 3.4028235e38] },
      { id: 1, spot: { wkb: point, srid: 0 }, near: [0.1, 1.1754944e-38, 7] },
      { id: 2, spot: { wkb: empty, srid: null }, near: null },
      { id: 3, spot: null, near: [1e-45, 0, 1] },
    ];
    const batches = new Batches('places#0');
    await sink.claim([batches.partition]);
    for (const count of [rows.length, copyFromRows]) {
      const all = Array.from({ length: count }, (_, id) => ({ ...(rows[id % rows.length] as Row), id }));
      await sink.write(batches.of(all.map((after) => [0, places, { op: 'insert', after }] as const)));
      const stored = await client.query<string[]>({
        text: `SELECT "${home}".ST_AsEWKT(spot), near::text FROM places WHERE id >= ${count - rows.length} ORDER BY id`,
        rowMode: 'array',
      });
      expect(stored.rows).toEqual([
        ['SRID=4326;POINT(10 -20)', '[1.5,-0,3.4028235e+38]'],
        ['POINT(10 -20)', '[0.1,1.1754944e-38,7]'],
        ['GEOMETRYCOLLECTION EMPTY', null],
        [null, '[1e-45,0,1]'],
      ]);
    }
  });

  test('a bytea column holds what PostGIS reads', async () => {
    const schema = { ...places, table: { ...places.table, table: 'plain' } };
    await client.query('CREATE TABLE plain (id int PRIMARY KEY, spot bytea, near bytea)');
    const sink = await open([mappingTo(schema)]);
    expect(await check(sink, schema)).toEqual([]);
    const batches = new Batches('plain#0');
    await sink.claim([batches.partition]);
    await sink.write(batches.of([[0, schema, { op: 'insert', after: { id: 1, spot: { wkb: point, srid: 4326 }, near: [1, 2, 3] } }]]));
    const { rows } = await client.query({
      text: `SELECT "${home}".ST_AsEWKT("${home}".ST_GeomFromEWKB(spot)) FROM plain`,
      rowMode: 'array',
    });
    expect(rows).toEqual([['SRID=4326;POINT(10 -20)']]);
  });

  test('narrower columns are named by check, and refuse what does not fit', async () => {
    const schema = { ...places, table: { ...places.table, table: 'narrow' } };
    const type = (text: string) => `"${home}".${text}`;
    await client.query(`CREATE TABLE narrow (id int PRIMARY KEY, spot ${type('geometry(Point, 4326)')}, near ${type('vector(2)')})`);
    const sink = await open([mappingTo(schema)]);
    expect((await check(sink, schema)).map(({ level, message }) => `${level}${message.slice(message.indexOf(': '))}`)).toEqual([
      expect.stringMatching(/^warning: other geometries than .*geometry\(Point,4326\) are refused$/),
      'warning: vectors of other than 2 dimensions are refused',
    ]);
    const batches = new Batches('narrow#0');
    for (const row of [
      { spot: { wkb: point, srid: 0 }, near: null },
      { spot: { wkb: empty, srid: 4326 }, near: null },
      { spot: null, near: [1, 2, 3] },
    ]) {
      await sink.claim([batches.partition]);
      await expect(sink.write(new Batches('narrow#0').of([[0, schema, { op: 'insert', after: { id: 1, ...row } }]]))).rejects.toMatchObject(
        {
          code: 'TARGET_VALUE_REFUSED',
          fault: 'poison',
        },
      );
    }
    const lenient = await open([{ ...mappingTo(schema), options: { values: { geometry: 'wkb' } } }]);
    const again = new Batches('narrow-wkb#0');
    await lenient.claim([again.partition]);
    await lenient.write(again.of([[0, schema, { op: 'insert', after: { id: 1, spot: { wkb: point, srid: 0 }, near: null } }]]));
    expect((await client.query(`SELECT "${home}".ST_SRID(spot) AS srid FROM narrow`)).rows).toEqual([{ srid: 4326 }]);
    await client.query(`CREATE TABLE globe (id int PRIMARY KEY, spot ${type('geography')}, near ${type('halfvec')})`);
    const globe = { ...places, table: { ...places.table, table: 'globe' } };
    const lossy = await check(await open([mappingTo(globe)]), globe);
    expect(lossy.map(({ level }) => level)).toEqual(['error', 'error']);
    for (const { fix } of lossy) await client.query(fix ?? '');
    expect(await check(await open([mappingTo(globe)]), globe)).toEqual([]);
  });
});
