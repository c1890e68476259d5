/** How a column's values become those of another type: only in ways that give what the source has, or that fail. */
import type { ColumnSchema } from '../../src/core/change.ts';
import type { TargetColumn } from './catalog.ts';

/** A column that changes its type. `name` is quoted, `to` is a base type as the catalog calls it, `type` is spelled with its numbers. */
interface Way {
  readonly name: string;
  readonly source: ColumnSchema;
  readonly from: TargetColumn;
  readonly type: string;
}

const catalogNames: Readonly<Record<string, string>> = {
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  real: 'float4',
  'double precision': 'float8',
  boolean: 'bool',
  'real[]': '_float4',
};

/** `timestamptz(3)` → `timestamptz`, `"gis".geometry` → `geometry`. */
function baseOf(type: string): string {
  const bare = type.replace(/\(.*$/, '').replace(/^.*\./, '');
  return catalogNames[bare] ?? bare;
}

/** ` USING …`; '' where the server converts by itself; undefined where nothing gives the source's values. */
export function conversion(name: string, source: ColumnSchema, from: TargetColumn, type: string): string | undefined {
  const to = baseOf(type);
  if (to === from.base) return to === 'bit' ? wider(name, source, from) : '';
  const expression = ways[to]?.({ name, source, from, type });
  return expression === '' || expression === undefined ? expression : ` USING ${expression}`;
}

/** MySQL's bits count from the right. */
function wider(name: string, { bits = 1 }: ColumnSchema, { typmod }: TargetColumn): string | undefined {
  if (bits === typmod) return '';
  return bits > typmod ? ` USING lpad(${name}::text, ${bits}, '0')::bit(${bits})` : undefined;
}

const numbers = new Set(['int2', 'int4', 'int8', 'numeric', 'float4', 'float8']);
const integers = new Set(['int2', 'int4', 'int8', 'numeric']);
const texts = new Set(['text', 'varchar', 'bpchar', 'citext']);
const isText = ({ base, isEnum }: TargetColumn) => isEnum || texts.has(base);

/** A text is read as the type's own spelling, or refused. */
const read = ({ name, type }: Way) => `${name}::text::${type}`;

function toNumber(way: Way): string | undefined {
  const { name, from, source } = way;
  if (numbers.has(from.base)) return '';
  if (from.base === 'bool') return `${name}::integer`;
  if (isText(from)) return read(way);
  if (source.kind !== 'year') return undefined;
  if (from.base === 'timestamptz') return `extract(year from ${name} AT TIME ZONE 'UTC')::integer`;
  return from.base === 'date' || from.base === 'timestamp' ? `extract(year from ${name})::integer` : undefined;
}

function toBit({ name, from, source, type }: Way): string | undefined {
  if (from.base === 'varbit') return `lpad(${name}::text, greatest(length(${name}), ${source.bits ?? 1}), '0')::${type}`;
  return integers.has(from.base) ? `${name}::bigint::${type}` : undefined;
}

/** A number or a date in a text could be spelled in many ways; which one the source has, it does not say. */
function toText({ name, from }: Way): string | undefined {
  if (from.isEnum) return `${name}::text`;
  if (texts.has(from.base)) return '';
  return from.base === 'bytea' ? `convert_from(${name}, 'UTF8')` : undefined;
}

/** A cast of a text would take its backslashes for escapes. */
function toBytes({ name, from, source }: Way): string | undefined {
  return source.kind === 'bytes' && isText(from) ? `convert_to(${name}::text, 'UTF8')` : undefined;
}

/** Without naming UTC the zone of whoever runs the statement would count. */
const inUtc = (expression: string) => `${expression} AT TIME ZONE 'UTC'`;

function toInstant({ name, from, type }: Way): string | undefined {
  if (from.base === 'timestamp') return inUtc(name);
  if (from.base === 'date') return inUtc(`${name}::timestamp`);
  // Crossfade's own texts end in Z, MySQL's in nothing; another zone makes it fail.
  return isText(from) ? `(rtrim(${name}::text, 'Z') || 'Z')::${type}` : undefined;
}

function toDateTime(way: Way): string | undefined {
  if (way.from.base === 'timestamptz') return inUtc(way.name);
  return way.from.base === 'date' ? '' : readText(way);
}

function toDate(way: Way): string | undefined {
  if (way.from.base === 'timestamptz') return `(${inUtc(way.name)})::date`;
  return way.from.base === 'timestamp' ? `${way.name}::date` : readText(way);
}

const readText = (way: Way) => (isText(way.from) ? read(way) : undefined);
const isNumberArray = ({ base }: TargetColumn) => /^_(int[248]|numeric|float[48])$/.test(base);

const ways: Readonly<Record<string, (way: Way) => string | undefined>> = {
  int2: toNumber,
  int4: toNumber,
  int8: toNumber,
  numeric: toNumber,
  float4: toNumber,
  float8: toNumber,
  bool: readText,
  bit: toBit,
  text: toText,
  varchar: toText,
  bytea: toBytes,
  date: toDate,
  timestamp: toDateTime,
  timestamptz: toInstant,
  interval: (way) => (way.from.base === 'time' ? '' : readText(way)),
  jsonb: readText,
  uuid: readText,
  inet: (way) => (way.from.base === 'cidr' ? '' : readText(way)),
  _float4: ({ name, from }) => (isNumberArray(from) ? `${name}::real[]` : undefined),
  vector: ({ name, from, type }) => (isNumberArray(from) ? `${name}::real[]::${type}` : undefined),
};
