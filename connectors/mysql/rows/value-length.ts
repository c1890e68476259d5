/** How many bytes a value of a column takes in a row: the one list, for those who read values and those who read over them. */
import { wire, type BinlogColumn, type StringType } from './columns.ts';
import { decimalSize } from '../values/values-number.ts';
import { fractionSize } from '../values/values-time.ts';
import { oldDatetimeSize, oldTimeSize, oldTimestampSize } from '../values/values-time-old.ts';

/** Types whose values have their length in front of them. */
export type CountedType =
  | StringType
  | typeof wire.json
  | typeof wire.geometry
  | typeof wire.vector
  | typeof wire.binaryVector
  | typeof wire.uuid
  | typeof wire.inet4
  | typeof wire.inet6;

/** Always so many bytes, or a length of `prefix` bytes in front of the value. */
export type ValueLength =
  | { readonly bytes: number; readonly prefix?: undefined }
  | { readonly bytes?: undefined; readonly prefix: 1 | 2 | 3 | 4 };

const fixed = (bytes: number): ValueLength => ({ bytes });
/** Where a length has one byte or two by the most that the column can hold. */
const byMost = ({ size }: BinlogColumn): ValueLength => ({ prefix: size > 255 ? 2 : 1 });
/** Where TABLE_MAP says how many bytes the length has. */
const counted = ({ size }: BinlogColumn): ValueLength | undefined => {
  return size === 1 || size === 2 || size === 3 || size === 4 ? { prefix: size } : undefined;
};

/** undefined: nobody knows, and the rows of its table cannot even be counted. */
export function valueLength(column: BinlogColumn): ValueLength | undefined {
  switch (column.type) {
    case wire.null:
      return fixed(0);
    case wire.tiny:
    case wire.year:
      return fixed(1);
    case wire.short:
      return fixed(2);
    case wire.int24:
    case wire.date:
    case wire.newdate:
      return fixed(3);
    case wire.long:
    case wire.float:
      return fixed(4);
    case wire.longlong:
    case wire.double:
      return fixed(8);
    case wire.oldTime:
      return fixed(oldTimeSize(column.size));
    case wire.oldTimestamp:
      return fixed(oldTimestampSize(column.size));
    case wire.oldDatetime:
      return fixed(oldDatetimeSize(column.size));
    case wire.decimal:
      return fixed(decimalSize(column.size, column.scale));
    case wire.time:
      return fixed(3 + fractionSize(column.size));
    case wire.datetime:
      return fixed(5 + fractionSize(column.size));
    case wire.timestamp:
      return fixed(4 + fractionSize(column.size));
    case wire.bit:
      return fixed((column.size + 7) >> 3);
    case wire.enum:
    case wire.set:
      return fixed(column.size);
    case wire.varchar:
    case wire.string:
    case wire.compressedVarchar:
    case wire.uuid:
    case wire.inet4:
    case wire.inet6:
    case wire.binaryVector:
      return byMost(column);
    case wire.blob:
    case wire.tinyBlob:
    case wire.mediumBlob:
    case wire.longBlob:
    case wire.compressedBlob:
    case wire.json:
    case wire.geometry:
    case wire.vector:
      return counted(column);
    case wire.unknown:
      return undefined;
    default:
      return column.type satisfies never;
  }
}
