/** The code that writes a value whose length stands before it. */
import { invariant } from '../../../src/core/assert.ts';
import { charset, textDecoder } from '../charsets/charsets.ts';
import { wire, type BinlogColumn } from './columns.ts';
import { readLength, type Constant } from './compile-code.ts';
import { valueLength, type CountedType } from './value-length.ts';
import { geometryRoom, vectorGrowth } from '../values/values-spatial.ts';

/** Texts longer than this are measured before room is made for them: the most they could take would be a waste of memory. */
const largeBytes = 16 * 1024;

/** `type`: the column's own. */
export function writeCountedColumn(column: BinlogColumn, type: CountedType, index: number, room: number, constant: Constant): string {
  const prefix = valueLength(column)?.prefix;
  invariant(prefix, `column ${index} has a length in front of its values`);
  // Behind the end of the whole buffer a byte is undefined and the place is no number: that is not beyond `e`, but not within it either.
  const head = `m = ${readLength[prefix]}; p += ${prefix}; z = p + m; if (!(z <= e)) throw cut();`;
  const body = bodyOf(column, type, { index, room, constant, prefix });
  return `${head}\n${body}\np = z;`;
}

interface Place {
  readonly index: number;
  readonly room: number;
  readonly constant: Constant;
  readonly prefix: number;
}

/** A writer that reserves its own room and moves the JsonOut; it answers false where the bytes are invalid. */
const through = (code: string, { index }: Place) => `o.at = q; if (!${code}) throw invalid(${index}); w = o.buf; v = o.view; q = o.at;`;

const reserve = (bytes: string, { room }: Place) =>
  `if (q + ${bytes} + ${room} > w.length) { o.at = q; o.reserve(${bytes} + ${room}); w = o.buf; v = o.view; q = o.at; }`;

const checked = (code: string, { index }: Place) => `q = ${code}; if (q < 0) throw invalid(${index});`;

function bodyOf(column: BinlogColumn, type: CountedType, place: Place): string {
  const { room, constant } = place;
  switch (type) {
    case wire.json:
      return through(`writeJson(o, ${room}, b, p, z)`, place);
    case wire.geometry:
      return `${reserve(`m * 2 + ${geometryRoom}`, place)}\n${checked('writeGeometry(w, q, b, p, z)', place)}`;
    case wire.vector:
    case wire.binaryVector:
      return `${reserve(`m * ${vectorGrowth}`, place)}\n${checked('writeVector(w, q, b, p, z)', place)}`;
    case wire.uuid:
      return 'q = writeUuid(w, q, b, p, z);';
    case wire.inet4:
      return 'q = writeInet4(w, q, b, p, z);';
    case wire.inet6:
      return 'q = writeInet6(w, q, b, p, z);';
    case wire.compressedBlob:
    case wire.compressedVarchar:
      return through(
        `writeCompressed(o, ${room}, ${column.charset === 'binary' ? 'null' : constant(decoderOf(column, place))}, b, p, z)`,
        place,
      );
    case wire.string:
    case wire.varchar:
    case wire.blob:
    case wire.tinyBlob:
    case wire.mediumBlob:
    case wire.longBlob:
      return column.charset === 'binary' ? binaryBody(column, place) : textBody(column, place);
    default:
      return type satisfies never;
  }
}

function binaryBody(column: BinlogColumn, place: Place): string {
  const padded = column.type === wire.string ? column.size : 0;
  const length = padded > 0 ? String(padded) : 'm';
  return `${reserve(`${length} * 2`, place)}\nq = writeBase64(w, q, b, p, m, ${length});`;
}

function charsetOf(column: BinlogColumn, { index }: Place) {
  const set = charset(column.charset);
  invariant(set, `column ${index} has a character set that is carried`);
  return set;
}
const decoderOf = (column: BinlogColumn, place: Place) => textDecoder(charsetOf(column, place));

function textBody(column: BinlogColumn, place: Place): string {
  const { room, constant, prefix } = place;
  const set = charsetOf(column, place);
  if (set.kind === 'decoder') return through(`writeThrough(o, ${room}, ${constant(set.decode)}, b, p, z)`, place);
  const write = set.kind === 'utf8' ? `writeUtf8(w, q, b, p, z, ${set.mostBytes})` : `writeBytes(w, q, b, p, z, ${constant(set.table)})`;
  const most = set.kind !== 'utf8' || prefix === 1 ? 'm *= 6;' : `m = m > ${largeBytes} ? textBytes(b, p, z) : m * 6;`;
  return `${most} ${reserve('m', place)}\nw[q++] = 34; ${checked(write, place)} w[q++] = 34;`;
}
