/**
 * Compiles, for one shape of a table, the straight-line code that turns a row image's bytes into the image's JSON text.
 * The generated source holds only numbers and escaped string literals that these files made.
 */
import { literal } from './compile-code.ts';
import { writeColumn } from './compile-column.ts';
import { runtime } from './compile-runtime.ts';
import { skipCode } from './compile-skip.ts';
import { wire, type BinlogColumn } from './columns.ts';
import type { JsonOut } from '../values/row-out.ts';

/** Reads the image at `p` (null bitmap first), appends its JSON, notes where the key's values are, answers the place behind. */
export type ImageDecoder = (b: Buffer, p: number, end: number, out: JsonOut) => number;

export function compileImage(columns: readonly BinlogColumn[], key: readonly number[]): ImageDecoder {
  const constants: unknown[] = [];
  const constant = (value: unknown) => `C[${constants.push(value) - 1}]`;
  const room = columns.reduce((sum, column) => sum + fixedRoom(column) + Buffer.byteLength(JSON.stringify(column.name)) + 8, 64);
  const first = columns.findIndex(({ hidden }) => !hidden);
  const body = columns.map((column, index) => {
    if (column.hidden) return skipCode(column, index);
    const at = key.indexOf(index);
    const name = `${index === first ? '{' : ','}${JSON.stringify(column.name)}:`;
    const note = (slot: number) => (at < 0 ? '' : `K[${at * 2 + slot}] = q - o.start;\n`);
    const write = `if (b[n + ${index >> 3}] & ${1 << (index & 7)}) { ${literal('null')} } else {\n${writeColumn(column, index, room, constant)}\n}`;
    return `${literal(name)}\n${note(0)}${write}\n${note(1)}`;
  });
  const source = `"use strict";
const { ${Object.keys(runtime).join(', ')} } = R;
return function image(b, n, e, o) {
  const K = o.keyRanges;
  o.reserve(${room});
  let w = o.buf, v = o.view, q = o.at, p = n + ${(columns.length + 7) >> 3}, m = 0, z = 0;
${body.join('\n')}
  w[q++] = 125;
  if (!(p <= e)) throw cut();
  o.at = q;
  return p;
};`;
  const make = new Function('R', 'C', source) as (r: typeof runtime, c: readonly unknown[]) => ImageDecoder;
  return make(runtime, constants);
}

/** Bytes that a value can take at most, without what grows with its length. */
function fixedRoom(column: BinlogColumn): number {
  switch (column.type) {
    case wire.decimal:
      return column.size + 6;
    case wire.enum:
      return Math.max(4, ...column.labels.map((label) => label.length * 6 + 2));
    case wire.set:
      return column.labels.reduce((sum, label) => sum + label.length * 6 + 1, 4);
    case wire.inet6:
      return 48;
    case wire.tiny:
    case wire.short:
    case wire.int24:
    case wire.long:
    case wire.longlong:
    case wire.float:
    case wire.double:
    case wire.bit:
    case wire.year:
    case wire.date:
    case wire.newdate:
    case wire.time:
    case wire.datetime:
    case wire.timestamp:
    case wire.oldTime:
    case wire.oldDatetime:
    case wire.oldTimestamp:
    case wire.uuid:
    case wire.inet4:
      return 40;
    // They make room for themselves by their lengths, but for quotes and the like.
    case wire.string:
    case wire.varchar:
    case wire.compressedVarchar:
    case wire.blob:
    case wire.tinyBlob:
    case wire.mediumBlob:
    case wire.longBlob:
    case wire.compressedBlob:
    case wire.json:
    case wire.geometry:
    case wire.vector:
    case wire.binaryVector:
      return 40;
    // Never written.
    case wire.null:
    case wire.unknown:
      return 0;
    default:
      return column.type satisfies never;
  }
}
