import { expect, test } from 'vitest';

import { foldByTargetKey, hashMapping, partsOf } from '../../connectors/redis/row-batch.ts';
import type { Change, ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { Entry } from '../../src/core/sink-port.ts';
import { versionOf, versionPrefix } from '../../src/core/version.ts';

const column = (name: string): ColumnSchema => ({ name, kind: 'string', nullable: true, type: 'text' });
const schema: TableSchema = {
  id: 's',
  table: { database: 'shop', table: 'stock' },
  key: ['id'],
  columns: ['id', 'sku', 'note'].map(column),
};
const mappings = [hashMapping({ source: schema.table, transforms: [], target: '', options: { shape: 'hash', key: 'stock:{sku}' } })];
const version = (ordinal: number) => versionOf(versionPrefix({ epoch: 1, file: 1, offset: 4 }), ordinal, 2);
const entry = (change: Change, ordinal: number): Entry => ({
  mapping: 0,
  event: { ...change, schema, version: version(ordinal), committedAtUs: 1, transactionId: 't' },
});
const entries = (...changes: Change[]) => changes.map(entry);
const row = (sku: string | null, note: string | null = null) => ({ id: 'x', sku, note });
const folded = (list: readonly Entry[]) =>
  Object.fromEntries([...foldByTargetKey(list, mappings)].map(([key, state]) => [key, state.row ?? 'gone']));

test('the last change of a key decides', () => {
  expect(folded(entries({ op: 'insert', after: row('a') }, { op: 'delete', before: row('a') }))).toEqual({ 'stock:a': 'gone' });
  expect(folded(entries({ op: 'delete', before: row('a') }, { op: 'insert', after: row('a') }))).toEqual({ 'stock:a': row('a') });
});

test('a change of a column in the template moves the key, though the source key stays', () => {
  expect(folded(entries({ op: 'update', before: row('a'), after: row('b') }))).toEqual({ 'stock:a': 'gone', 'stock:b': row('b') });
  expect(folded(entries({ op: 'update', before: row('a', 'x'), after: row('a', 'y') }))).toEqual({ 'stock:a': row('a', 'y') });
});

test('two rows that swap their target keys both survive', () => {
  const [one, two] = [
    { id: '1', note: null },
    { id: '2', note: null },
  ];
  const swap = entries(
    { op: 'update', before: { ...one, sku: 'a' }, after: { ...one, sku: 't' } },
    { op: 'update', before: { ...two, sku: 'b' }, after: { ...two, sku: 'a' } },
    { op: 'update', before: { ...one, sku: 't' }, after: { ...one, sku: 'b' } },
  );
  expect(folded(swap)).toEqual({ 'stock:a': { ...two, sku: 'a' }, 'stock:b': { ...one, sku: 'b' }, 'stock:t': 'gone' });
});

test('an older version in the batch never beats a newer one', () => {
  expect(folded([entry({ op: 'insert', after: row('a', 'new') }, 9), entry({ op: 'insert', after: row('a', 'old') }, 1)])).toEqual({
    'stock:a': row('a', 'new'),
  });
});

test('rows are told by shape: names once, values per row, NULL nowhere', () => {
  const states = foldByTargetKey(
    entries(
      { op: 'insert', after: row('a', 'n') },
      { op: 'insert', after: row('b') },
      { op: 'insert', after: row('c', 'm') },
      { op: 'delete', before: row('d') },
    ),
    mappings,
  );
  expect([...partsOf(states)]).toEqual([
    {
      keys: ['stock:a', 'stock:b', 'stock:c', 'stock:d'],
      mappings: [0, 0, 0, 0],
      last: true,
      args: ['2', '4', '__version', 'id', 'sku', 'note', '3', '__version', 'id', 'sku'].concat(
        [version(0), '1', 'x', 'a', 'n', version(1), '2', 'x', 'b'],
        [version(2), '1', 'x', 'c', 'm', version(3), '0'],
      ),
    },
  ]);
});

const many = (count: number, note: string | null) => [
  ...partsOf(
    foldByTargetKey(
      Array.from({ length: count }, (_, i) => entry({ op: 'insert', after: row(`k${i}`, note) }, i)),
      mappings,
    ),
  ),
];

test('parts are bounded by rows, by arguments and by bytes, and only the last says so', () => {
  const rows = many(1000, null);
  expect(rows.length).toBeGreaterThan(1);
  expect(rows.flatMap(({ keys }) => keys)).toEqual(Array.from({ length: 1000 }, (_, i) => `stock:k${i}`));
  expect(rows.map(({ last }) => last)).toEqual([...rows.slice(1).map(() => false), true]);
  expect(many(5, 'x'.repeat(700_000)).map(({ keys }) => keys.length)).toEqual([1, 1, 1, 1, 1]);
  expect(many(0, null)).toEqual([{ keys: [], mappings: [], args: ['0'], last: true }]);
});

test('values: bytes raw, booleans 1 and 0, numbers as exact text', () => {
  const bytes = Buffer.from([0xff, 0]);
  const values = { id: 1, sku: 'k', note: true };
  const wide = { ...schema, columns: ['id', 'sku', 'note', 'big', 'raw', 'zero'].map(column) };
  const change = { op: 'insert', after: { ...values, big: 2n ** 64n - 1n, raw: bytes, zero: -0 } } as const;
  const event = Object.assign({}, entry(change, 1).event, { schema: wide });
  const [part] = partsOf(foldByTargetKey([{ mapping: 0, event }], mappings));
  expect(part?.args.slice(-6)).toEqual(['1', 'k', '1', '18446744073709551615', bytes, '-0']);
});

const code = (expected: string, fault: string) => expect.objectContaining({ code: expected, fault });
const thrown = (change: Change, shape = schema) => {
  const event = Object.assign({}, entry(change, 1).event, { schema: shape });
  return () => [...partsOf(foldByTargetKey([{ mapping: 0, event }], mappings))];
};

test('rows without a key are poison, a missing column and a column named __version are fatal', () => {
  expect(thrown({ op: 'insert', after: row(null) })).toThrow(code('TARGET_VALUE_REFUSED', 'poison'));
  expect(thrown({ op: 'insert', after: row('a', '\uD800') })).toThrow(code('TARGET_VALUE_REFUSED', 'poison'));
  expect(thrown({ op: 'insert', after: { id: 'x' } })).toThrow(code('TARGET_COLUMN_MISSING', 'fatal'));
  const clash = { ...schema, columns: [...schema.columns, column('__version')] };
  expect(thrown({ op: 'insert', after: { ...row('a'), __version: '1' } }, clash)).toThrow(code('CONFIG_INVALID', 'fatal'));
  expect(() => hashMapping({ source: schema.table, transforms: [], target: '', options: {} })).toThrow(code('CONFIG_INVALID', 'fatal'));
});

test('G6: every kind of value has its text', () => {
  const kinds = {
    integer: 18_446_744_073_709_551_615n,
    float: -0,
    boolean: true,
    bytes: Buffer.from([0, 255]),
    geometry: { wkb: Buffer.from('AQEAAAAAAAAAAAAAQAAAAAAAAPA/', 'base64'), srid: 4326 },
    vector: [1.5, -0, 3.4028235e38],
    gone: null,
  };
  const wide: TableSchema = { ...schema, columns: ['sku', ...Object.keys(kinds)].map(column) };
  const after = { sku: 'a', ...kinds };
  const event = { op: 'insert' as const, after, schema: wide, version: version(1), committedAtUs: 1, transactionId: 't' };
  const [part] = partsOf(foldByTargetKey([{ mapping: 0, event }], mappings));
  const values = part?.args.slice(-7).map((value) => (typeof value === 'string' ? value : value.toString('hex')));
  expect(values).toEqual([
    'a',
    '18446744073709551615',
    '-0',
    '1',
    '00ff',
    '{"wkb":"AQEAAAAAAAAAAAAAQAAAAAAAAPA/","srid":4326}',
    '[1.5,-0,3.4028235e+38]',
  ]);
});
