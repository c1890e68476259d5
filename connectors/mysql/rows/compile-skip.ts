/** Compiles the code that reads over a row image: rows of tables that nobody maps are only counted. */
import { wire, type BinlogColumn } from './columns.ts';
import { lengthBytes, readLength } from './compile-code.ts';
import { corruptEvent } from '../errors.ts';
import { decimalSize } from '../values/values-number.ts';
import { fractionSize } from '../values/values-time.ts';
import { oldDatetimeSize, oldTimeSize, oldTimestampSize } from '../values/values-time-old.ts';

/** Reads over the image at `p`. */
export type ImageSkipper = (b: Buffer, p: number, end: number) => number;

/** The length of every type is known here, or the table's rows cannot be counted: undefined, and the stream must stop. */
export function compileSkipper(columns: readonly BinlogColumn[]): ImageSkipper | undefined {
  const steps = columns.map(skipCode);
  return steps.every((step) => step !== undefined) ? makeSkipper(steps) : undefined;
}

/** Moves `p` behind the value of column `index`, if there is one; undefined where its length is not known. */
export function skipCode(column: BinlogColumn, index: number): string | undefined {
  const fixed = fixedSize(column);
  if (fixed === undefined && !variable.has(column.type)) return undefined;
  const prefix = lengthBytes(column);
  const step = fixed === undefined ? `p += ${prefix} + (${readLength[prefix]});` : `p += ${fixed};`;
  return fixed === 0 ? '' : `if (!(b[n + ${index >> 3}] & ${1 << (index & 7)})) ${step}`;
}

function makeSkipper(steps: readonly string[]): ImageSkipper {
  const source = `"use strict"; return function skip(b, n, e, ends) { let p = n + ${(steps.length + 7) >> 3};\n${steps.join('\n')}\nif (!(p <= e)) throw cut(); return p; };`;
  const make = new Function('cut', source) as (cut: () => Error) => ImageSkipper;
  return make(() => corruptEvent('a row is cut'));
}

/** Reads over the image at `p` and notes behind which place each column's value ends; that of NULL ends where it would begin. */
export type ImageMeasurer = (b: Buffer, p: number, end: number, ends: Uint32Array) => number;

/** For columns that are all known. */
export function compileMeasurer(columns: readonly BinlogColumn[]): ImageMeasurer {
  return makeSkipper(columns.map((column, index) => `${skipCode(column, index) ?? ''}\nends[${index}] = p;`));
}

const variable = new Set<number>([
  wire.varchar,
  wire.string,
  wire.blob,
  wire.tinyBlob,
  wire.mediumBlob,
  wire.longBlob,
  wire.compressedBlob,
  wire.compressedVarchar,
  wire.json,
  wire.geometry,
  wire.vector,
  wire.uuid,
  wire.inet4,
  wire.inet6,
  wire.binaryVector,
]);

function fixedSize(column: BinlogColumn): number | undefined {
  switch (column.type) {
    case wire.null:
      return 0;
    case wire.tiny:
    case wire.year:
      return 1;
    case wire.short:
      return 2;
    case wire.int24:
    case wire.date:
    case wire.newdate:
      return 3;
    case wire.long:
    case wire.float:
      return 4;
    case wire.longlong:
    case wire.double:
      return 8;
    case wire.oldTime:
      return oldTimeSize(column.size);
    case wire.oldTimestamp:
      return oldTimestampSize(column.size);
    case wire.oldDatetime:
      return oldDatetimeSize(column.size);
    case wire.decimal:
      return decimalSize(column.size, column.scale);
    case wire.time:
      return 3 + fractionSize(column.size);
    case wire.datetime:
      return 5 + fractionSize(column.size);
    case wire.timestamp:
      return 4 + fractionSize(column.size);
    case wire.bit:
      return (column.size + 7) >> 3;
    case wire.enum:
    case wire.set:
      return column.size;
    default:
      return undefined;
  }
}
