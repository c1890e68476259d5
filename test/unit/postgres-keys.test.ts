import { describe, expect, test } from 'vitest';

import type { TargetColumn, TargetTable } from '../../connectors/postgres/catalog.ts';
import { planTable } from '../../connectors/postgres/plan.ts';
import type { ColumnSchema, TableSchema, Value } from '../../src/core/change.ts';

const target = (base: string, rest: Partial<TargetColumn> = {}): TargetColumn => ({
  name: 'k',
  base,
  castType: base,
  shownType: base,
  typmod: -1,
  isEnum: false,
  labels: [],
  isArray: base.startsWith('_'),
  delimiter: ',',
  notNull: true,
  hasDefault: false,
  generated: false,
  identityAlways: false,
  ...rest,
});
const text: Partial<ColumnSchema> = { kind: 'string', type: 'text' };

/** The plan of a table whose key is one column. */
function plan(source: Partial<ColumnSchema>, column: TargetColumn, indexes: readonly boolean[] = [false]) {
  const key: ColumnSchema = { name: 'k', kind: 'integer', type: 'int', bits: 32, nullable: false, ...source };
  const schema: TableSchema = { id: '1', table: { database: 'shop', table: 't' }, key: ['k'], columns: [key] };
  const table: TargetTable = {
    name: { schema: 'public', table: 't' },
    kind: 'r',
    isRowSecure: false,
    columns: new Map([['k', column]]),
    uniqueKeys: indexes.map((isFolding, index) => ({ index: `t_${index}`, columns: ['k'], isFolding })),
  };
  return planTable('1', table.name, table, schema);
}
const write = (source: Partial<ColumnSchema>, base: string, value: Exclude<Value, null>) =>
  plan(source, target(base)).key[0]?.toText(value);
const refused = expect.objectContaining({ code: 'TARGET_COLUMN_TYPE', fault: 'fatal' }) as Error;

describe('G1, G6: the target tells two keys apart where the log does', () => {
  test.each<[string, Partial<ColumnSchema>, TargetColumn]>([
    ['a column of a nondeterministic collation', text, target('text', { foldingCollation: 'ci' })],
    ['citext', text, target('citext')],
    ['jsonb', text, target('jsonb')],
  ])('%s is no key', (_name, source, column) => {
    expect(() => plan(source, column)).toThrow(refused);
  });

  test('an index of a nondeterministic collation is one too many, also beside a good one', () => {
    expect(() => plan(text, target('text'), [true])).toThrow(refused);
    expect(() => plan(text, target('text'), [false, true])).toThrow(refused);
    expect(plan(text, target('text'), [false, false]).key).toHaveLength(1);
  });

  test('other spellings of one uuid or address are refused', () => {
    const uuid = '123e4567-e89b-12d3-a456-42665544000a';
    expect(write(text, 'uuid', uuid)).toBe(uuid);
    expect(() => write(text, 'uuid', uuid.toUpperCase())).toThrow(/as Postgres spells it/);
    expect(() => write(text, 'inet', '10.0.0.1/32')).toThrow(/as Postgres spells it/);
  });

  test('minus zero is refused where it equals zero, and only in a key', () => {
    for (const base of ['float4', 'float8']) {
      expect(() => write({ kind: 'float', type: 'float' }, base, -0)).toThrow(/minus zero/);
      expect([0, -1e-45].map((value) => write({ kind: 'float', type: 'float' }, base, value))).toEqual(['0', '-1e-45']);
    }
    expect(write({ kind: 'double', type: 'double' }, 'text', -0)).toBe('-0');
    const decimal: Partial<ColumnSchema> = { kind: 'decimal', type: 'decimal(9,2)', precision: 9, scale: 2 };
    expect(() => write(decimal, 'numeric', '-0.00')).toThrow(/minus zero/);
    expect(['-0.01', '0.00'].map((value) => write(decimal, 'numeric', value))).toEqual(['-0.01', '0.00']);
  });
});
