/** One rows event: its header, then row after row to a receiver. */
import type { TableSchema } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import { InvalidValue, OversizedImage } from '../values/bad-row.ts';
import type { ImageSkipper } from './compile-skip.ts';
import { corruptEvent, invalidValue, rowTooLarge } from '../errors.ts';
import type { JsonOut } from '../values/row-out.ts';
import type { RowDecoder, TableShape } from './shapes.ts';

export type WholeRowsKind = 'write rows' | 'update rows' | 'delete rows';
export type RowsKind = WholeRowsKind | 'partial update rows';

export class RowsHeader {
  readonly columns: number;
  /** Where the first row begins. */
  readonly rows: number;
  readonly #b: Buffer;
  /** Where the bitmaps of the columns that the images hold are. */
  readonly #presentAt: number;
  readonly #presentAfterAt: number;

  constructor(b: Buffer, columns: number, presentAt: number, presentAfterAt: number, rows: number) {
    this.#b = b;
    this.columns = columns;
    this.#presentAt = presentAt;
    this.#presentAfterAt = presentAfterAt;
    this.rows = rows;
  }

  get present(): Buffer {
    return this.#b.subarray(this.#presentAt, this.#presentAt + ((this.columns + 7) >> 3));
  }
  get presentAfter(): Buffer {
    return this.#b.subarray(this.#presentAfterAt, this.#presentAfterAt + ((this.columns + 7) >> 3));
  }
  get isWhole(): boolean {
    const { columns } = this;
    return allPresent(this.#b, this.#presentAt, columns) && allPresent(this.#b, this.#presentAfterAt, columns);
  }
  /** The same, but the rows are elsewhere. */
  withRows(rows: number): RowsHeader {
    return new RowsHeader(this.#b, this.columns, this.#presentAt, this.#presentAfterAt, rows);
  }
}

/** `from`: the event's body. Version 2 has extra data behind the flags. */
export function parseRowsHeader(b: Buffer, from: number, end: number, kind: RowsKind, version: 1 | 2): RowsHeader {
  let at = from + 8;
  if (version === 2) at += b.readUInt16LE(at);
  let columns = b[at] as number;
  at += 1;
  if (columns >= 251) {
    if (columns !== 252) throw corruptEvent('its number of columns is impossible');
    columns = b.readUInt16LE(at);
    at += 2;
  }
  const size = (columns + 7) >> 3;
  const presentAt = at;
  at += size;
  const isUpdate = kind === 'update rows' || kind === 'partial update rows';
  const presentAfterAt = isUpdate ? at : presentAt;
  if (isUpdate) at += size;
  if (at > end) throw corruptEvent('a rows event is cut');
  return new RowsHeader(b, columns, presentAt, presentAfterAt, at);
}

function allPresent(b: Buffer, at: number, columns: number): boolean {
  for (let index = 0; index < columns; index += 1) if ((((b[at + (index >> 3)] as number) >> (index & 7)) & 1) === 0) return false;
  return true;
}

/** Throws where the images lack columns. */
export function requireWholeImages(header: RowsHeader, shape: TableShape, where: () => string): void {
  if (!header.isWhole) throw incomplete(shape.name, where());
}

export interface RowReceiver {
  row(
    schema: TableSchema,
    op: 'c' | 'u' | 'd',
    before: Uint8Array | null,
    after: Uint8Array | null,
    key: Uint8Array,
    oldKey: Uint8Array | null,
  ): void;
}

/** Decodes all rows of a captured table. `where` is `file:offset`, for messages. */
export function decodeRows(
  b: Buffer,
  end: number,
  kind: WholeRowsKind,
  header: RowsHeader,
  shape: TableShape,
  out: JsonOut,
  to: RowReceiver,
  where: () => string,
): void {
  requireWholeImages(header, shape, where);
  const { decoder } = shape;
  out.mostBytes = decoder.maxRowBytes;
  let p = header.rows;
  try {
    while (p < end)
      p =
        kind === 'update rows' ? decodeUpdate(b, p, end, decoder, out, to) : decodeOne(b, p, end, decoder, out, to, kind === 'write rows');
  } catch (error) {
    out.abandon();
    if (error instanceof InvalidValue) throw invalidValue(shape.id, shape.columns[error.column]?.name ?? '', where());
    if (error instanceof OversizedImage) throw rowTooLarge(shape.id, error.bytes, decoder.maxRowBytes, where());
    if (error instanceof RangeError) throw corruptEvent('a row is cut', where());
    throw error;
  }
}

/** Views are taken only when the row is finished: until then the buffer may move it. */
function decodeOne(
  b: Buffer,
  from: number,
  end: number,
  { schema, image, key, maxRowBytes }: RowDecoder,
  out: JsonOut,
  to: RowReceiver,
  insert: boolean,
): number {
  const p = image(b, from, end, out);
  const imageEnd = out.at - out.start;
  if (imageEnd > maxRowBytes) throw new OversizedImage(imageEnd);
  key(out);
  const keyBytes = out.slice(imageEnd, out.at - out.start);
  const row = out.slice(0, imageEnd);
  out.commit();
  if (insert) to.row(schema, 'c', null, row, keyBytes, null);
  else to.row(schema, 'd', row, null, keyBytes, null);
  return p;
}

function decodeUpdate(
  b: Buffer,
  from: number,
  end: number,
  { schema, image, key, maxRowBytes }: RowDecoder,
  out: JsonOut,
  to: RowReceiver,
): number {
  let p = image(b, from, end, out);
  const beforeEnd = out.at - out.start;
  key(out);
  const oldKeyEnd = out.at - out.start;
  p = image(b, p, end, out);
  const afterEnd = out.at - out.start;
  const larger = Math.max(beforeEnd, afterEnd - oldKeyEnd);
  if (larger > maxRowBytes) throw new OversizedImage(larger);
  key(out);
  const moved = !out.equal(beforeEnd, oldKeyEnd, afterEnd, out.at - out.start);
  const before = out.slice(0, beforeEnd);
  const after = out.slice(oldKeyEnd, afterEnd);
  const newKey = out.slice(afterEnd, out.at - out.start);
  const oldKey = moved ? out.slice(beforeEnd, oldKeyEnd) : null;
  out.commit();
  to.row(schema, 'u', before, after, newKey, oldKey);
  return p;
}

/**
 * Counts the rows of a table that nobody maps. An event of rows whose length nobody knows counts as one: ordinals need only
 * grow, and be the same whenever they are read.
 */
export function countRows(b: Buffer, end: number, kind: WholeRowsKind, header: RowsHeader, shape: TableShape, where: () => string): number {
  if (shape.isUncountable) return 1;
  const before: ImageSkipper = shape.skipper(header.present);
  const after = kind === 'update rows' ? shape.skipper(header.presentAfter) : undefined;
  let count = 0;
  let p = header.rows;
  while (p < end) {
    const from = p;
    p = before(b, p, end);
    if (after) p = after(b, p, end);
    if (p === from) throw incomplete(shape.name, where());
    count += 1;
  }
  return count;
}

function incomplete(table: string, where: string): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_ROW_INCOMPLETE',
    fault: 'fatal',
    message: `the row images of ${table} at ${where} do not hold all columns: binlog_row_image was not FULL in the session that wrote them`,
    remedy:
      'Run on the source: SET PERSIST binlog_row_image = FULL; (on MariaDB SET GLOBAL, and the line in its my.cnf) and end the sessions that set it otherwise.',
  });
}
