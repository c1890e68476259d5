/** The statements that a person would have to write: tables, columns and keys for what the source holds. */
import type { ColumnKind, ColumnSchema, TableSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';
import { vectorDimensions } from './compatibility.ts';
import { conversion } from './conversion.ts';
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

/**
 * A column for a table that is there. Its rows need the source's values, which nobody knows here: NOT NULL makes the server
 * refuse the column where there are rows, and a column that has a default in the source is only a comment, for it would be
 * NULL where the source has the default. A nullable column without one was added as NULL in the source too.
 */
export function addColumnStatement(target: string, column: ColumnSchema, extensions: ExtensionTypes = {}): string {
  const table = `ALTER TABLE ${target}`;
  const name = quote(column.name);
  const type = postgresType(column, extensions);
  if (column.nullable && column.hasDefault !== true) return `${table} ADD COLUMN ${name} ${type};`;
  const preset = `${table} ADD COLUMN ${name} ${type}${column.nullable ? '' : ' NOT NULL'} DEFAULT …;`;
  if (column.nullable) {
    return [
      `-- ${name} can have a default in the rows that the source had; one of these, then:`,
      `-- ${preset} -- the DEFAULT that the source gave them`,
      `-- ${table} ADD COLUMN ${name} ${type}; -- and UPDATE … SET ${name} = … to the source's values`,
    ].join('\n');
  }
  return [
    `-- refused where there are rows, which need the source's values: then ${preset}`,
    `-- with the DEFAULT that the source gave its old rows, or add it without NOT NULL, UPDATE … SET ${name} = …, SET NOT NULL`,
    `${table} ADD COLUMN ${name} ${type} NOT NULL;`,
  ].join('\n');
}

export function addKeyStatement(target: string, key: readonly string[]): string {
  return `ALTER TABLE ${target} ADD UNIQUE (${key.map(quote).join(', ')});`;
}

/**
 * Gives the column the type that holds every value; fails, and changes nothing, where what is there already cannot be
 * converted. Where no conversion gives the source's values it runs only while the column holds nothing.
 */
export function retypeStatement(target: string, source: ColumnSchema, from: TargetColumn, extensions: ExtensionTypes = {}): string {
  const name = quote(source.name);
  const type = postgresType(source, extensions);
  const using = conversion(name, source, from, type);
  const table = `ALTER TABLE ${target} ALTER COLUMN ${name}`;
  // Neither goes along to every type, and every row is written with a value. An identity must be gone before.
  const unset = from.hasDefault && using !== '' ? ` DROP DEFAULT, ALTER COLUMN ${name}` : '';
  const wasIdentity = from.hasDefault && /^int[248]$/.test(from.base) && !/^(smallint|integer|bigint)$/.test(type);
  const before = wasIdentity ? `${table} DROP IDENTITY IF EXISTS;\n` : '';
  const alter = (tail: string) => `${before}${table}${unset} TYPE ${type}${tail};`;
  return using === undefined ? onlyEmpty(target, name, alter(' USING NULL')) : alter(using);
}

function onlyEmpty(target: string, name: string, alter: string): string {
  const why = `no conversion gives the source's values: empty the table, run this, and load it again`;
  return [
    `-- ${why}`,
    `DO $crossfade$ BEGIN`,
    `  LOCK TABLE ${target};`,
    `  IF EXISTS (SELECT 1 FROM ${target} WHERE ${name} IS NOT NULL) THEN`,
    `    RAISE EXCEPTION USING MESSAGE = ${quoteText(`${target}, column ${name}: ${why}`)};`,
    `  END IF;`,
    `  ${alter}`,
    `END $crossfade$;`,
  ].join('\n');
}

/** A type for dates that Postgres does not have, and times beyond a day, with what is there in the form that the log has; undefined for all else. */
export function spelledStatement(target: string, { name, kind, scale = 0 }: ColumnSchema, { base }: TargetColumn): string | undefined {
  const alter = `ALTER TABLE ${target} ALTER COLUMN ${quote(name)} TYPE`;
  if (kind === 'time') return base === 'time' ? `${alter} interval(${scale});` : undefined;
  if (!['date', 'timestamp', 'timestamptz'].includes(base)) return undefined;
  const fraction = scale === 0 ? '' : `.${fractionPatterns[scale] ?? `FF${scale}`}`;
  const time = kind === 'date' ? '' : `"T"HH24:MI:SS${fraction}${kind === 'timestamp' ? '"Z"' : ''}`;
  const moment = base === 'timestamptz' ? `${quote(name)} AT TIME ZONE 'UTC'` : quote(name);
  return `${alter} text USING to_char(${moment}, 'YYYY-MM-DD${time}');`;
}

/** Those that servers before 13 know. */
const fractionPatterns: Readonly<Record<number, string>> = { 3: 'MS', 6: 'US' };

function columnDefinition(column: ColumnSchema, extensions: ExtensionTypes): string {
  // The server describes a character beyond the BMP as a question mark: then nobody knows which labels there are.
  const known = column.kind === 'enum' && column.labels?.every((label) => !label.includes('?'));
  const check = known ? ` CHECK ${labelsCondition(column)}` : '';
  return `${quote(column.name)} ${postgresType(column, extensions)}${column.nullable ? '' : ' NOT NULL'}${check}`;
}

/** MySQL stores '' for a label that it did not know; the row must not vanish for it. */
export function labelsCondition({ name, labels = [] }: ColumnSchema): string {
  return `(${quote(name)} IN (${[...new Set(['', ...labels])].map(quoteText).join(', ')}))`;
}

type Types = Readonly<Record<ColumnKind, (column: ColumnSchema, extensions: ExtensionTypes) => string>>;

/** The type that holds every value of the column exactly. */
const types: Types = {
  integer: integerType,
  decimal: ({ precision = 65, scale = 0 }) => `numeric(${precision}, ${scale})`,
  float: () => 'real',
  double: () => 'double precision',
  boolean: () => 'boolean',
  bit: ({ bits = 1 }) => `bit(${bits})`,
  string: stringType,
  bytes: () => 'bytea',
  date: () => 'date',
  time: ({ scale = 6 }) => `interval(${scale})`,
  datetime: ({ scale = 6 }) => `timestamp(${scale})`,
  timestamp: ({ scale = 6 }) => `timestamptz(${scale})`,
  year: () => 'smallint',
  enum: () => 'text',
  set: () => 'text',
  json: () => 'jsonb',
  geometry: (_column, { geometry = 'bytea' }) => geometry,
  vector: (column, { vector }) => vectorType(column, vector),
  uuid: () => 'uuid',
  inet4: () => 'inet',
  inet6: () => 'inet',
};

const postgresType = (column: ColumnSchema, extensions: ExtensionTypes = {}): string => types[column.kind](column, extensions);

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
