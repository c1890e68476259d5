/** TABLE_MAP's lists: who is of which class differs between the servers, and a list that does not fit stops what would be read by it. */
import { describe, expect, test } from 'vitest';
import { wire } from '../../connectors/mysql/rows/columns.ts';
import { Shapes, type Tables } from '../../connectors/mysql/rows/shapes.ts';
import { parseTableMap } from '../../connectors/mysql/rows/table-map.ts';

const charsetOf = new Map([
  [8, 'latin1'],
  [46, 'utf8mb4'],
  [63, 'binary'],
]);
const maxBytesOf = new Map([['utf8mb4', 4]]);
const collations = (ofSpatial: boolean) => ({ charsetOf, maxBytesOf, ofSpatial });

interface Column {
  readonly name: string;
  readonly type: number;
  readonly meta?: readonly number[];
}
const id: Column = { name: 'id', type: wire.long };
const place: Column = { name: 'g', type: wire.geometry, meta: [4] };
const vector: Column = { name: 'v', type: wire.vector, meta: [4] };
const text = (name: string): Column => ({ name, type: wire.varchar, meta: [36, 0] });
const choice: Column = { name: 'e', type: wire.string, meta: [wire.enum, 1] };

const list = (type: number, ...value: number[]) => [type, value.length, ...value];
const names = (columns: readonly Column[]) => list(4, ...columns.flatMap(({ name }) => [name.length, ...Buffer.from(name)]));

/** `db.t` with these columns, `id` its key, and what the server says of them. */
function map(columns: readonly Column[], ...lists: readonly (readonly number[])[]): Buffer {
  const meta = columns.flatMap(({ meta = [] }) => [...meta]);
  const head = [2, 0x64, 0x62, 0, 1, 0x74, 0, columns.length, ...columns.map(({ type }) => type), meta.length, ...meta];
  return Buffer.from([...head, 0, ...names(columns), ...lists.flat(), ...list(8, 0)]);
}
const signs = list(1, 0);
const point = list(7, 1);

const parsed = (bytes: Buffer, ofSpatial: boolean) => parseTableMap(bytes, 0, bytes.length, collations(ofSpatial));
const charsets = (bytes: Buffer, ofSpatial: boolean) => parsed(bytes, ofSpatial).columns.map(({ charset }) => charset);

/** What happens when the first row comes. */
function firstRow(bytes: Buffer, ofSpatial: boolean, mapped = 'db.t'): unknown {
  const tables: Tables = { mapped: new Set([mapped]), keys: new Map(), collations: collations(ofSpatial), maxRowBytes: 1e6 };
  const event = Buffer.concat([Buffer.alloc(8), bytes]);
  const shape = new Shapes(tables).learn(event, 0, event.length);
  if (!shape.mapped) return shape.skipper(Buffer.from([255])) === undefined ? 'stops' : 'counts';
  try {
    return shape.decoder.schema.columns.length;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe('collations', () => {
  const columns = [id, place, text('c'), text('d')];

  test('of MariaDB: a spatial column is among those that have one', () => {
    for (const written of [list(3, 63, 8, 46), list(2, 46, 0, 63, 1, 8)])
      expect(charsets(map(columns, signs, written, point), true)).toEqual(['', '', 'latin1', 'utf8mb4']);
  });

  test('of MySQL: it is not, but a vector is', () => {
    for (const written of [list(3, 8, 46), list(2, 46, 0, 8)])
      expect(charsets(map(columns, signs, written, point), false)).toEqual(['', '', 'latin1', 'utf8mb4']);
    const vectors = [id, vector, text('c'), text('d')];
    expect(charsets(map(vectors, signs, list(3, 63, 8, 46), list(13, 3)), false)).toEqual(['', '', 'latin1', 'utf8mb4']);
  });
});

describe('a list that does not fit its columns', () => {
  const columns = [id, place, text('c'), text('d'), choice];
  const right = [signs, list(3, 8, 46), point, list(11, 8), list(6, 1, 1, 0x61)];
  const instead = (at: number, ...lists: readonly number[][]) => map(columns, ...right.toSpliced(at, 1, ...lists));

  test('the right ones are read', () => {
    expect(parsed(map(columns, ...right), false).misfit).toBeUndefined();
    expect(firstRow(map(columns, ...right), false)).toBe(5);
  });

  test.each([
    ['too many collations: a server that counts a class that we do not', instead(1, list(3, 63, 8, 46))],
    ['too few collations', instead(1, list(3, 8))],
    ['an exception of a column that is not there', instead(1, list(2, 46, 2, 8))],
    ['no signs', instead(0)],
    ['too many signs', instead(0, list(1, 0, 0))],
    ['no spatial type', instead(2)],
    ['two spatial types', instead(2, list(7, 1, 2))],
    ['two collations of labels', instead(3, list(11, 8, 46))],
    ['labels of two ENUMs', instead(4, list(6, 1, 1, 0x61, 1, 1, 0x62))],
    ['labels of a SET that is not there', instead(4, list(6, 1, 1, 0x61), list(5, 1, 1, 0x62))],
    ['a name too many', map(columns, ...right, list(4, 1, 0x7a))],
  ])('%s stops at the first row, and only where the table is captured', (_, bytes) => {
    expect(parsed(bytes, false).misfit).toMatch(/^the binlog gives /);
    expect(firstRow(bytes, false)).toBe('SOURCE_TYPE_UNSUPPORTED');
    expect(firstRow(bytes, false, 'db.other')).toBe('counts');
  });

  test("a spatial column or a vector with a text's collation: the list is one off, however many it has", () => {
    const bytes = map([id, place, text('c')], signs, list(3, 46, 8), point);
    expect(firstRow(bytes, true)).toBe('SOURCE_TYPE_UNSUPPORTED');
    const vectors = map([id, vector, text('c')], signs, list(2, 46), list(13, 3));
    expect(firstRow(vectors, false)).toBe('SOURCE_TYPE_UNSUPPORTED');
  });
});

test('a type byte that is not of the closed list is no type, and stops whoever would read its rows or count them', () => {
  for (const type of [0, 20, 200, 242 + 1, 244]) {
    const bytes = map([id, { name: 'x', type }], signs);
    expect(parsed(bytes, false).columns[1]).toMatchObject({ type: wire.unknown, size: type });
    expect(firstRow(bytes, false)).toBe('SOURCE_TYPE_UNSUPPORTED');
    expect(() => firstRow(bytes, false, 'db.other')).toThrow(/does not know/);
  }
});
