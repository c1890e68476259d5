/** The statements that a person would have to write: tables, columns and keys for what the source holds. */
import type { ColumnSchema, TableSchema } from '../../src/core/change.ts';
import { quote, quoteText } from './identifiers.ts';

/** `target` is quoted already: `"public"."orders"`. */
export function createTableStatement(target: string, schema: TableSchema): string {
  const columns = schema.columns.map((column) => `  ${columnDefinition(column)}`);
  const key = `  PRIMARY KEY (${schema.key.map(quote).join(', ')})`;
  return `CREATE TABLE ${target} (\n${[...columns, key].join(',\n')}\n);`;
}

/** Without NOT NULL: the rows that are there already have no value for it. */
export function addColumnStatement(target: string, column: ColumnSchema): string {
  return `ALTER TABLE ${target} ADD COLUMN ${quote(column.name)} ${postgresType(column)};`;
}

export function addKeyStatement(target: string, key: readonly string[]): string {
  return `ALTER TABLE ${target} ADD UNIQUE (${key.map(quote).join(', ')});`;
}

function columnDefinition(column: ColumnSchema): string {
  const { labels } = column;
  // MySQL stores '' for a label that it did not know; the row must not vanish for it.
  const check = column.kind === 'enum' && labels ? ` CHECK (${quote(column.name)} IN (${['', ...labels].map(quoteText).join(', ')}))` : '';
  return `${quote(column.name)} ${postgresType(column)}${column.nullable ? '' : ' NOT NULL'}${check}`;
}

/** The type that holds every value of the column exactly. */
export function postgresType(column: ColumnSchema): string {
  switch (column.kind) {
    case 'integer':
      return integerType(column);
    case 'decimal':
      return `numeric(${column.precision ?? 65}, ${column.scale ?? 0})`;
    case 'float':
      return 'real';
    case 'double':
      return 'double precision';
    case 'bit':
      return `bit(${column.bits ?? 1})`;
    case 'string':
      return stringType(column);
    case 'bytes':
    case 'geometry':
      return 'bytea';
    case 'time':
      return `interval(${column.scale ?? 6})`;
    case 'datetime':
      return `timestamp(${column.scale ?? 6})`;
    case 'timestamp':
      return `timestamptz(${column.scale ?? 6})`;
    case 'year':
      return 'smallint';
    case 'enum':
    case 'set':
      return 'text';
    case 'json':
      return 'jsonb';
    case 'vector':
      return 'real[]';
    case 'inet4':
    case 'inet6':
      return 'inet';
    default:
      return column.kind;
  }
}

function integerType({ bits = 64, unsigned = false }: ColumnSchema): string {
  const needed = bits + (unsigned ? 1 : 0);
  if (needed <= 16) return 'smallint';
  if (needed <= 32) return 'integer';
  return needed <= 64 ? 'bigint' : 'numeric(20)';
}

/** MySQL strips the padding of a CHAR before anybody sees it, so varchar is its exact counterpart. */
function stringType({ type, length }: ColumnSchema): string {
  const bounded = /char/i.test(type) && length !== undefined && length > 0 && length <= 10_485_760;
  return bounded ? `varchar(${length})` : 'text';
}
