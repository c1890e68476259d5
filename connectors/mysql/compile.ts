/**
 * Compiles, for one shape of a table, the straight-line code that turns a row image's bytes into the image's JSON text.
 * The generated source holds only numbers and escaped string literals that this file made.
 */
import { invariant } from '../../src/core/assert.ts';
import { charset } from './charsets.ts';
import { wire, type BinlogColumn } from './columns.ts';
import { corruptEvent } from './errors.ts';
import type { JsonOut } from './json-out.ts';
import { decimalSize, writeDecimal, writeDouble, writeFloat, writeInt, writeLong } from './values-number.ts';
import { writeBytes, writeUtf8 } from './values-text.ts';
import { fractionSize, writeDate, writeDatetime, writeTime, writeTimestamp, writeYear } from './values-time.ts';
import { labelBytes, writeBase64, writeLabel, writeLarge, writeLabels, writeThrough } from './values-other.ts';

/** Reads the image at `p` (null bitmap first), appends its JSON, notes where the key's values are, answers the place behind. */
export type ImageDecoder = (b: Buffer, p: number, end: number, out: JsonOut) => number;
/** Reads over the image at `p`. */
export type ImageSkipper = (b: Buffer, p: number, end: number) => number;

/** Thrown with the column's index by generated code; the caller knows table and place. */
export class InvalidValue {
  readonly column: number;
  constructor(column: number) {
    this.column = column;
  }
}

const runtime = {
  writeInt,
  writeLong,
  writeDecimal,
  writeFloat,
  writeDouble,
  writeDate,
  writeTime,
  writeDatetime,
  writeTimestamp,
  writeYear,
  writeUtf8,
  writeBytes,
  writeBase64,
  writeLabel,
  writeLabels,
  writeLarge,
  writeThrough,
  invalid: (column: number) => new InvalidValue(column),
  cut: () => corruptEvent('a row is cut'),
};

/** Texts longer than this are converted by the engine instead of byte by byte. */
const largeBytes = 16 * 1024;

export function compileImage(columns: readonly BinlogColumn[], key: readonly number[]): ImageDecoder {
  const constants: unknown[] = [];
  const constant = (value: unknown) => `C[${constants.push(value) - 1}]`;
  const room = columns.reduce((sum, column) => sum + fixedRoom(column) + Buffer.byteLength(JSON.stringify(column.name)) + 8, 64);
  const body = columns.map((column, index) => {
    const at = key.indexOf(index);
    const name = `${index === 0 ? '{' : ','}${JSON.stringify(column.name)}:`;
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
  if (p > e) throw cut();
  o.at = q;
  return p;
};`;
  const make = new Function('R', 'C', source) as (r: typeof runtime, c: readonly unknown[]) => ImageDecoder;
  return make(runtime, constants);
}

/** Stores a constant four bytes at a time; the last store may pass its end, there is room and the next write covers it. */
function literal(text: string): string {
  const bytes = Buffer.from(text);
  const padded = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
  bytes.copy(padded);
  let code = '';
  for (let at = 0; at < bytes.length; at += 4) code += `v.setInt32(q${at === 0 ? '' : ` + ${at}`}, ${padded.readInt32LE(at)}, true); `;
  return `${code}q += ${bytes.length};`;
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
    default:
      return 40;
  }
}

type Constant = (value: unknown) => string;

const int24 = 'b[p] | (b[p + 1] << 8) | (b[p + 2] << 16)';
const int32 = `${int24} | (b[p + 3] << 24)`;
const high32 = 'b[p + 4] | (b[p + 5] << 8) | (b[p + 6] << 16) | (b[p + 7] << 24)';

const call = (code: string, bytes: number) => `q = ${code}; p += ${bytes};`;

function writeColumn(column: BinlogColumn, index: number, room: number, constant: Constant): string {
  const { unsigned, size } = column;
  const signed = (expression: string, shift: number) => (unsigned ? expression : `(${expression}) << ${shift} >> ${shift}`);
  switch (column.type) {
    case wire.tiny:
      return call(`writeInt(w, q, ${signed('b[p]', 24)})`, 1);
    case wire.short:
      return call(`writeInt(w, q, ${signed('b[p] | (b[p + 1] << 8)', 16)})`, 2);
    case wire.int24:
      return call(`writeInt(w, q, ${signed(int24, 8)})`, 3);
    case wire.long:
      return call(`writeInt(w, q, (${int32})${unsigned ? ' >>> 0' : ''})`, 4);
    case wire.longlong:
      return call(`writeLong(w, q, (${int32}) >>> 0, (${high32})${unsigned ? ' >>> 0' : ''})`, 8);
    case wire.decimal:
      return call(`writeDecimal(w, q, b, p, ${size}, ${column.scale})`, decimalSize(size, column.scale));
    case wire.float:
      return call('writeFloat(w, q, b, p)', 4);
    case wire.double:
      return call('writeDouble(w, q, b, p)', 8);
    case wire.date:
    case wire.newdate:
      return call('writeDate(w, q, b, p)', 3);
    case wire.time:
      return call(`writeTime(w, q, b, p, ${size})`, 3 + fractionSize(size));
    case wire.datetime:
      return call(`writeDatetime(w, q, b, p, ${size})`, 5 + fractionSize(size));
    case wire.timestamp:
      return call(`writeTimestamp(w, q, b, p, ${size})`, 4 + fractionSize(size));
    case wire.year:
      return call('writeYear(w, q, b[p])', 1);
    case wire.bit:
      if (size === 1) return `if (b[p] & 1) { ${literal('true')} } else { ${literal('false')} } p += 1;`;
      return call(`writeBase64(w, q, b, p, ${(size + 7) >> 3}, ${(size + 7) >> 3})`, (size + 7) >> 3);
    case wire.enum:
      return `${call(`writeLabel(w, q, ${constant(labelBytes(column.labels))}, ${size === 1 ? 'b[p]' : 'b[p] | (b[p + 1] << 8)'})`, size)}\nif (q < 0) throw invalid(${index});`;
    case wire.set:
      return `${call(`writeLabels(w, q, ${constant(labelBytes(column.labels))}, b, p, ${size})`, size)}\nif (q < 0) throw invalid(${index});`;
    default:
      return writeStringColumn(column, index, room, constant);
  }
}

/** The bytes of a value's length in front of it. */
function lengthBytes(column: BinlogColumn): number {
  if (column.type === wire.varchar || column.type === wire.string) return column.size > 255 ? 2 : 1;
  return column.size;
}

const readLength = ['0', 'b[p]', 'b[p] | (b[p + 1] << 8)', int24, `(${int32}) >>> 0`];

function writeStringColumn(column: BinlogColumn, index: number, room: number, constant: Constant): string {
  const prefix = lengthBytes(column);
  const head = `m = ${readLength[prefix]}; p += ${prefix}; z = p + m; if (z > e) throw cut();`;
  const reserve = (bytes: string) =>
    `if (q + ${bytes} + ${room} > w.length) { o.at = q; o.reserve(${bytes} + ${room}); w = o.buf; v = o.view; q = o.at; }`;
  const through = (code: string) => `o.at = q; if (!${code}) throw invalid(${index}); w = o.buf; v = o.view; q = o.at; p = z;`;
  if (column.charset === 'binary') {
    const padded = column.type === wire.string ? column.size : 0;
    const length = padded > 0 ? String(padded) : 'm';
    return `${head}\n${reserve(`${length} * 2`)}\nq = writeBase64(w, q, b, p, m, ${length}); p = z;`;
  }
  const set = charset(column.charset);
  invariant(set, `column ${index} has a character set that is carried`);
  if (set.kind === 'decoder') return `${head}\n${through(`writeThrough(o, ${room}, ${constant(set.decode)}, b, p, z)`)}`;
  const write = set.kind === 'utf8' ? 'writeUtf8(w, q, b, p, z)' : `writeBytes(w, q, b, p, z, ${constant(set.table)})`;
  const short = `${reserve('m * 6')}\nw[q++] = 34; q = ${write}; if (q < 0) throw invalid(${index}); w[q++] = 34; p = z;`;
  if (set.kind !== 'utf8' || (prefix === 1 && column.size <= 255)) return `${head}\n${short}`;
  return `${head}\nif (m > ${largeBytes}) { ${through(`writeLarge(o, ${room}, b, p, z)`)} } else {\n${short}\n}`;
}

/** The length of every type is known here, or the table's rows cannot be counted: undefined, and the stream must stop. */
export function compileSkipper(columns: readonly BinlogColumn[]): ImageSkipper | undefined {
  const steps: string[] = [];
  for (const [index, column] of columns.entries()) {
    const fixed = fixedSize(column);
    if (fixed === undefined && !variable.has(column.type)) return undefined;
    const prefix = lengthBytes(column);
    const step = fixed === undefined ? `p += ${prefix} + (${readLength[prefix]});` : `p += ${fixed};`;
    if (fixed !== 0) steps.push(`if (!(b[n + ${index >> 3}] & ${1 << (index & 7)})) ${step}`);
  }
  const source = `"use strict"; return function skip(b, n, e) { let p = n + ${(columns.length + 7) >> 3};\n${steps.join('\n')}\nif (p > e) throw cut(); return p; };`;
  const make = new Function('cut', source) as (cut: () => Error) => ImageSkipper;
  return make(runtime.cut);
}

const variable = new Set<number>([
  wire.varchar,
  wire.string,
  wire.blob,
  wire.tinyBlob,
  wire.mediumBlob,
  wire.longBlob,
  wire.json,
  wire.geometry,
  wire.vector,
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
    case wire.oldTime:
      return 3;
    case wire.long:
    case wire.float:
    case wire.oldTimestamp:
      return 4;
    case wire.longlong:
    case wire.double:
    case wire.oldDatetime:
      return 8;
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

/** Writes `{"id":1}` from the values that the image decoder noted; the last image's key, behind the row at hand. */
export type KeyWriter = (out: JsonOut) => void;

export function compileKey(names: readonly string[]): KeyWriter {
  const prefixes = names.map((name, index) => Buffer.from(`${index === 0 ? '{' : ','}${JSON.stringify(name)}:`));
  const constantBytes = prefixes.reduce((sum, prefix) => sum + prefix.length, 1);
  return (out) => {
    const ranges = out.keyRanges;
    let room = constantBytes;
    for (let index = 0; index < prefixes.length; index += 1) room += (ranges[index * 2 + 1] as number) - (ranges[index * 2] as number);
    out.reserve(room);
    const { buf, start } = out;
    let at = out.at;
    for (let index = 0; index < prefixes.length; index += 1) {
      const prefix = prefixes[index] as Buffer;
      for (let read = 0; read < prefix.length; read += 1) buf[at++] = prefix[read] as number;
      const from = start + (ranges[index * 2] as number);
      const to = start + (ranges[index * 2 + 1] as number);
      for (let read = from; read < to; read += 1) buf[at++] = buf[read] as number;
    }
    buf[at++] = 125;
    out.at = at;
  };
}
