/** One column as information_schema has it: the same as TABLE_MAP will say of it. */
import { geometryNames, wire, type BinlogColumn, type WireType } from '../rows/columns.ts';
import type { Row } from './metadata.ts';
import type { Flavor } from '../position/executed.ts';

export const text = (row: Row, name: string): string => (row[name] === null || row[name] === undefined ? '' : String(row[name]));
const number = (row: Row, name: string): number => Number(row[name] ?? 0);

const plainTypes: Readonly<Record<string, WireType>> = {
  tinyint: wire.tiny,
  smallint: wire.short,
  mediumint: wire.int24,
  int: wire.long,
  bigint: wire.longlong,
  float: wire.float,
  double: wire.double,
  decimal: wire.decimal,
  date: wire.date,
  time: wire.time,
  datetime: wire.datetime,
  timestamp: wire.timestamp,
  year: wire.year,
  bit: wire.bit,
  char: wire.string,
  binary: wire.string,
  varchar: wire.varchar,
  varbinary: wire.varchar,
  enum: wire.enum,
  set: wire.set,
  json: wire.json,
  uuid: wire.uuid,
  inet4: wire.inet4,
  inet6: wire.inet6,
};
const lobSizes = ['tiny', '', 'medium', 'long'];
/** The storage formats of before MySQL 5.6.4, which MariaDB still has. */
const oldTypes: Readonly<Record<string, WireType>> = { time: wire.oldTime, datetime: wire.oldDatetime, timestamp: wire.oldTimestamp };

/** Of a row with `col`, `type`, `full`, `nullable`, `bytes`, `charset`, `digits`, `scale` and `fraction`. */
export function describedColumn(row: Row, flavor: Flavor): BinlogColumn {
  const type = text(row, 'type');
  const full = text(row, 'full');
  const lob = /^(tiny|medium|long)?(text|blob)$/.exec(type);
  const isChoice = type === 'enum' || type === 'set';
  const charset = text(row, 'charset');
  const isBinary = lob?.[2] === 'blob' || type === 'binary' || type === 'varbinary' || (isChoice && charset === '');
  const isCompressed = / COMPRESSED\b/.test(full.replace(/'(?:[^']|'')*'/g, ''));
  const stored = wireType(type, full, { isLob: lob !== null, isCompressed, flavor });
  return {
    name: text(row, 'col'),
    type: stored,
    // The first byte of a compressed value says how it is compressed.
    size: stored === wire.unknown ? 0 : lob ? lobSizes.indexOf(lob[1] ?? '') + 1 : sizeOf(type, full, row) + (isCompressed ? 1 : 0),
    scale: type === 'decimal' ? number(row, 'scale') : type === 'vector' ? elements(full) : Math.max(0, spatial(type)),
    unsigned: / unsigned\b/.test(full),
    nullable: text(row, 'nullable') === 'YES',
    charset: isBinary ? 'binary' : type === 'json' ? '' : charset,
    labels: isChoice ? labelsOf(full) : [],
  };
}

const elements = (full: string): number => Number(/\((\d+)\)/.exec(full)?.[1] ?? 0);
/** The number of a spatial type, below 0 for another; the servers call them alike but for one. */
const spatial = (type: string): number => geometryNames.findIndex((name) => name === type.replace('geomcollection', 'geometrycollection'));

interface Storage {
  readonly isLob: boolean;
  readonly isCompressed: boolean;
  readonly flavor: Flavor;
}

function wireType(type: string, full: string, { isLob, isCompressed, flavor }: Storage): WireType {
  if (isLob) return isCompressed ? wire.compressedBlob : wire.blob;
  if (isCompressed) return wire.compressedVarchar;
  if (type === 'vector') return flavor === 'mariadb' ? wire.binaryVector : wire.vector;
  if (spatial(type) >= 0) return wire.geometry;
  const old = full.includes('/* mariadb-5.3 */') ? oldTypes[type] : undefined;
  return old ?? plainTypes[type] ?? wire.unknown;
}

function sizeOf(type: string, full: string, row: Row): number {
  switch (type) {
    case 'decimal':
    case 'bit':
      return number(row, 'digits');
    case 'time':
    case 'datetime':
    case 'timestamp':
      return number(row, 'fraction');
    case 'uuid':
    case 'inet6':
      return 16;
    case 'inet4':
      return 4;
    case 'vector':
      return elements(full) * 4;
    default:
      return number(row, 'bytes');
  }
}

/** `enum('a','it''s','back\\slash')`: quotes doubled, and the five escapes of SHOW CREATE TABLE. */
function labelsOf(full: string): string[] {
  const labels = full.match(/'(?:[^'\\]|''|\\[^])*'/g) ?? [];
  return labels.map((label) =>
    label.slice(1, -1).replace(/''|\\([^])/g, (_, escaped?: string) => (escaped === undefined ? "'" : (escapes[escaped] ?? escaped))),
  );
}
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', '0': '\0' };
