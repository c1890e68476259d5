/** The code that writes one column's value: from the bytes at `p` to JSON at `q`, and `p` behind the value. */
import { invariant } from '../../../src/core/assert.ts';
import { wire, type BinlogColumn } from './columns.ts';
import { call, high32, int24, int32, literal, type Constant } from './compile-code.ts';
import { writeCountedColumn } from './compile-string.ts';
import { decimalSize } from '../values/values-number.ts';
import { labelBytes } from '../values/values-other.ts';
import { fractionSize } from '../values/values-time.ts';
import { oldDatetimeSize, oldTimeSize, oldTimestampSize } from '../values/values-time-old.ts';

/** What lies behind the event is not the value's: then the row is cut, and not invalid. */
const valid = (index: number) => `if (q < 0) throw p > e ? cut() : invalid(${index});`;

export function writeColumn(column: BinlogColumn, index: number, room: number, constant: Constant): string {
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
      return `${call('writeFloat(w, q, b, p)', 4)}\n${valid(index)}`;
    case wire.double:
      return `${call('writeDouble(w, q, b, p)', 8)}\n${valid(index)}`;
    case wire.date:
    case wire.newdate:
      return call('writeDate(w, q, b, p)', 3);
    case wire.time:
      return call(`writeTime(w, q, b, p, ${size})`, 3 + fractionSize(size));
    case wire.datetime:
      return call(`writeDatetime(w, q, b, p, ${size})`, 5 + fractionSize(size));
    case wire.timestamp:
      return call(`writeTimestamp(w, q, b, p, ${size})`, 4 + fractionSize(size));
    case wire.oldTime:
      return `${call(`writeOldTime(w, q, b, p, ${size})`, oldTimeSize(size))}\n${valid(index)}`;
    case wire.oldDatetime:
      return `${call(`writeOldDatetime(w, q, b, p, ${size})`, oldDatetimeSize(size))}\n${valid(index)}`;
    case wire.oldTimestamp:
      return call(`writeOldTimestamp(w, q, b, p, ${size})`, oldTimestampSize(size));
    case wire.year:
      return call('writeYear(w, q, b[p])', 1);
    case wire.bit:
      if (size === 1) return `if (b[p] & 1) { ${literal('true')} } else { ${literal('false')} } p += 1;`;
      return call(`writeBits(w, q, b, p, ${(size + 7) >> 3})`, (size + 7) >> 3);
    case wire.enum:
      return `${call(`writeLabel(w, q, ${constant(labelBytes(column.labels))}, ${size === 1 ? 'b[p]' : 'b[p] | (b[p + 1] << 8)'})`, size)}\n${valid(index)}`;
    case wire.set:
      return `${call(`writeLabels(w, q, ${constant(labelBytes(column.labels))}, b, p, ${size})`, size)}\n${valid(index)}`;
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
    case wire.uuid:
    case wire.inet4:
    case wire.inet6:
      return writeCountedColumn(column, column.type, index, room, constant);
    case wire.null:
    case wire.unknown:
      invariant(false, `column ${index} has a type that is carried`);
    default:
      return column.type satisfies never;
  }
}
