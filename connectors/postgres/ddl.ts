/** The statements that a person would have to write: tables, columns and keys for what the source holds. */
import type { ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { vectorDimensions } from './compatibility.ts';
import { isTooLong, quote, quoteText } from './identifiers.ts';

/** Types that an extension brought into the target's database, as SQL spells them. */
export interface ExtensionTypes {
  /** PostGIS. */
  readonly geometry?: string;
  /** pgvector. */
  readonly vector?: string;
}

/** `target` is quoted already: `"public"."orders"`. Columns whose names Postgres would cut are left out: each is a finding of its own. */
export function createTableStatement(target: string, schema: TableSchema, extensions: ExtensionTypes = {}): string {
  const columns = schema.columns.filter(({ name }) => !isTooLong(name)).map((column) => `  ${columnDefinition(column, extensions)}`);
  const key = `  PRIMARY KEY (${schema.key.map(quote).join(', ')})`;
  return `CREATE TABLE ${target} (\n${[...columns, key].join(',\n')}\n);`;
}

/** Without NOT NULL: the rows that are there already have no value for it. */
export function addColumnStatement(target: string, column: ColumnSchema, extensions: ExtensionTypes = {}): string {
  return `ALTER TABLE ${target} ADD COLUMN ${quote(column.name)} ${postgresType(column, extensions)};`;
}

export function addKeyStatement(target: string, key: readonly string[]): string {
  return `ALTER TABLE ${target} ADD UNIQUE (${key.map(quote).join(', ')});`;
}

/** Gives the column the type that holds every value; fails, and changes nothing, where what is there already cannot be converted. */
export function retypeStatement(target: string, source: ColumnSchema, from: TargetColumn, extensions: ExtensionTypes = {}): string {
  const name = quote(source.name);
  const type = postgresType(source, extensions);
  return `ALTER TABLE ${target} ALTER COLUMN ${name} TYPE ${type}${conversion(name, from.base, type)};`;
}

const families = [
  /^(int[248]|numeric|float[48]|smallint|integer|bigint|real|double precision)\b/,
  /^(text|varchar|bpchar)\b/,
  /^(timestamp)\b/,
  /^(timestamptz)\b/,
  /^(bit|varbit)\b/,
];

/** Within a family the server converts by itself; between two it is told how, and never in a way that loses silently. */
function conversion(name: string, from: string, type: string): string {
  if (type.startsWith(from) || families.some((family) => family.test(from) && family.test(type))) return '';
  const stamps = ['timestamp', 'timestamptz'];
  if (stamps.includes(from) && stamps.includes(type.replace(/\(.*/, ''))) return ` USING ${name} AT TIME ZONE 'UTC'`;
  if (from === 'bool') return ` USING ${name}::integer`;
  return ` USING ${name}::text::${type}`;
}

function columnDefinition(column: ColumnSchema, extensions: ExtensionTypes): string {
  // The server describes a character beyond the BMP as a question mark: then nobody knows which labels there are.
  const known = column.kind === 'enum' && column.labels?.every((label) => !label.includes('?'));
  const check = known ? ` CHECK ${labelsCondition(column)}` : '';
  return `${quote(column.name)} ${postgresType(column, extensions)}${column.nullable ? '' : ' NOT NULL'}${check}`;
}

/** MySQL stores '' for a label that it did not know; the row must not vanish for it. */
export function labelsCondition({ name, labels = [] }: ColumnSchema): string {
  return `(${quote(name)} IN (${['', ...labels].map(quoteText).join(', ')}))`;
}

/** The type that holds every value of the column exactly. */
function postgresType(column: ColumnSchema, extensions: ExtensionTypes = {}): string {
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
      return 'bytea';
    case 'geometry':
      return extensions.geometry ?? 'bytea';
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
      return vectorType(column, extensions.vector);
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

const pgvectorDimensionsMax = 16_000;

function vectorType(column: ColumnSchema, extension: string | undefined): string {
  const dimensions = vectorDimensions(column);
  if (extension === undefined || (dimensions ?? 0) > pgvectorDimensionsMax) return 'real[]';
  // A column declared VECTOR holds vectors of any length, and so does pgvector's without a number.
  return dimensions === undefined ? extension : `${extension}(${dimensions})`;
}
