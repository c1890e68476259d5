/** What generated code calls: the writers of values, and the two ways in which a row can be bad. */
import { InvalidValue } from '../values/bad-row.ts';
import { corruptEvent } from '../errors.ts';
import { writeJson } from '../json/json-text.ts';
import { writeInet4, writeInet6, writeUuid } from '../values/values-mariadb.ts';
import { writeDecimal, writeDouble, writeFloat, writeInt, writeLong } from '../values/values-number.ts';
import { writeBase64, writeBits, writeCompressed, writeLabel, writeLabels, writeThrough } from '../values/values-other.ts';
import { writeGeometry, writeVector } from '../values/values-spatial.ts';
import { textBytes, writeBytes, writeUtf8 } from '../values/values-text.ts';
import { writeDate, writeDatetime, writeTime, writeTimestamp, writeYear } from '../values/values-time.ts';
import { writeOldDatetime, writeOldTime, writeOldTimestamp } from '../values/values-time-old.ts';

export const runtime = {
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
  textBytes,
  writeUtf8,
  writeBytes,
  writeBase64,
  writeBits,
  writeLabel,
  writeLabels,
  writeThrough,
  writeCompressed,
  writeJson,
  writeGeometry,
  writeVector,
  writeUuid,
  writeInet4,
  writeInet6,
  writeOldTime,
  writeOldDatetime,
  writeOldTimestamp,
  invalid: (column: number) => new InvalidValue(column),
  cut: () => corruptEvent('a row is cut'),
};
