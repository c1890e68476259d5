/**
 * What MariaDB's TABLE_MAP leaves open of columns, filled in from the server's description of today.
 *
 * UUID, INET4 and INET6 look like BINARY there and VECTOR like VARBINARY: a column that was one and is the other today is
 * carried with the very bytes that were stored, only spelt otherwise, and the schema of its rows says which. Of the old
 * temporal formats the fraction's digits are missing, so today's are taken, whatever format the column has by now. Only an
 * ALTER that changes the column itself could have made them others, and no stream passes one of a captured table.
 */
import { wire, type BinlogColumn, type WireType } from './columns.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';

const oldOnes = new Map<WireType, WireType>([
  [wire.oldTime, wire.time],
  [wire.oldDatetime, wire.datetime],
  [wire.oldTimestamp, wire.timestamp],
]);

/** Whether TABLE_MAP does not say how long a column's values are. */
export const hasUnknownSize = ({ type }: BinlogColumn): boolean => oldOnes.has(type);

/** Whether TABLE_MAP says less than all of such a column. */
export function isAmbiguous({ type, size, charset }: BinlogColumn): boolean {
  if (oldOnes.has(type)) return true;
  if (charset !== 'binary') return false;
  return type === wire.string ? size === 16 || size === 4 : type === wire.varchar && size > 0 && size % 4 === 0;
}

/** `now`: the column of this name as the server describes it; undefined where there is none. */
export function settled(column: BinlogColumn, now: BinlogColumn | undefined): BinlogColumn {
  const { type, size, name } = column;
  const modern = oldOnes.get(type);
  // Below 0 nobody knows.
  if (modern !== undefined) return { ...column, size: now?.type === type || now?.type === modern ? now.size : -1 };
  if (!now) return type === wire.longlong && rowHash.test(name) ? { ...column, hidden: true } : column;
  if (!isAmbiguous(column) || size !== now.size || !own.has(now.type)) return column;
  return { ...column, type: now.type, charset: '' };
}

const own = new Set<WireType>([wire.uuid, wire.inet4, wire.inet6, wire.binaryVector]);

/** Where a unique key is kept as a hash (over BLOBs, say), MariaDB adds a column for it that nobody sees but the binlog. */
const rowHash = /^DB_ROW_HASH_\d+$/;

/** A table got a column since it was described; at the next reading it is described with it. */
export function undescribed(table: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_TYPE_UNSUPPORTED',
    fault: 'retry',
    message: `table ${table} has a new column whose type only the server can tell: the binlog is read again with what it says`,
    remedy: 'Nothing needs to be done.',
  });
}
