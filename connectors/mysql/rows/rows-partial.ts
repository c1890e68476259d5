/**
 * UPDATE rows with partial JSON (PARTIAL_UPDATE_ROWS): the image after the change has changes instead of whole documents. Each
 * row is made whole with the documents of the image before, and then it is an UPDATE row as any other.
 */
import { wire } from './columns.ts';
import { compileMeasurer, type ImageMeasurer } from './compile-skip.ts';
import { corruptEvent, invalidValue } from '../errors.ts';
import { BrokenPatch } from '../json/json-node.ts';
import type { JsonOut } from '../values/row-out.ts';
import { patchJson } from '../json/json-patch.ts';
import { decodeRows, requireWholeImages, type RowReceiver, type RowsHeader } from './rows.ts';
import type { TableShape } from './shapes.ts';

/** As decodeRows, for rows of a captured table. */
export function decodePartialUpdate(
  b: Buffer,
  end: number,
  header: RowsHeader,
  shape: TableShape,
  out: JsonOut,
  to: RowReceiver,
  where: () => string,
): void {
  requireWholeImages(header, shape, where);
  // A column that is not carried is named before its bytes are read over.
  void shape.decoder;
  const rows = new PartialRows(b, end, shape, where);
  for (let p = header.rows; p < end; p = rows.next) {
    const row = rows.whole(p);
    decodeRows(row, row.length, 'update rows', header.withRows(0), shape, out, to, where);
  }
}

/** As countRows: the rows of a table that nobody maps, whichever columns their images hold. */
export function countPartialRows(b: Buffer, end: number, header: RowsHeader, shape: TableShape, where: () => string): number {
  const before = shape.skipper(header.present);
  const after = shape.skipper(header.presentAfter);
  let count = 0;
  for (let p = header.rows; p < end; count += 1) p = after(b, afterImage(b, before(b, p, end), shape, where).at, end);
  return count;
}

/** The bit of the options that says that the bits of the changed columns follow. */
const partialJson = 1;

/** What is in front of the image after the change, at `p`: where that begins, and its bits, one for each JSON column, if any. */
function afterImage(
  b: Buffer,
  p: number,
  shape: TableShape,
  where: () => string,
): { readonly at: number; readonly bits: number | undefined } {
  const options = b[p];
  // One option is defined, so the packed integer is one byte; any other would be something that nobody knows.
  if (options === undefined || options > partialJson) throw corruptEvent('a partial update has unknown options', where());
  if (options !== partialJson) return { at: p + 1, bits: undefined };
  const jsonColumns = shape.columns.filter(({ type }) => type === wire.json).length;
  return { at: p + 1 + ((jsonColumns + 7) >> 3), bits: p + 1 };
}

const measurers = new WeakMap<TableShape, ImageMeasurer>();
class PartialRows {
  /** Behind the row at hand. */
  next = 0;
  readonly #b: Buffer;
  readonly #end: number;
  readonly #shape: TableShape;
  readonly #where: () => string;
  readonly #measurer: ImageMeasurer;
  readonly #before: Uint32Array;
  readonly #after: Uint32Array;

  constructor(b: Buffer, end: number, shape: TableShape, where: () => string) {
    this.#b = b;
    this.#end = end;
    this.#shape = shape;
    this.#where = where;
    this.#measurer = measurers.get(shape) ?? compileMeasurer(shape.columns);
    measurers.set(shape, this.#measurer);
    this.#before = new Uint32Array(shape.columns.length);
    this.#after = new Uint32Array(shape.columns.length);
  }

  /** The row at `p` as an ordinary UPDATE has it: image before, image after. */
  whole(p: number): Buffer {
    const middle = this.#measurer(this.#b, p, this.#end, this.#before);
    const { at, bits } = afterImage(this.#b, middle, this.#shape, this.#where);
    this.next = this.#measurer(this.#b, at, this.#end, this.#after);
    const parts = [this.#b.subarray(p, middle)];
    let copied = at;
    let bit = 0;
    for (const [index, column] of this.#shape.columns.entries()) {
      if (column.type !== wire.json) continue;
      const isPartial = bits !== undefined && (((this.#b[bits + (bit >> 3)] as number) >> (bit & 7)) & 1) === 1;
      bit += 1;
      const to = this.#after[index] as number;
      const from = index === 0 ? at + ((this.#after.length + 7) >> 3) : (this.#after[index - 1] as number);
      if (!isPartial || from === to) continue;
      parts.push(this.#b.subarray(copied, from), ...this.#patched(p, index, from, to));
      copied = to;
    }
    parts.push(this.#b.subarray(copied, this.next));
    return Buffer.concat(parts);
  }

  /** The column's whole document with its length in front. */
  #patched(row: number, index: number, from: number, to: number): [Buffer, Buffer] {
    const start = index === 0 ? row + ((this.#before.length + 7) >> 3) : (this.#before[index - 1] as number);
    const behind = this.#before[index] as number;
    const column = this.#shape.columns[index];
    const invalid = () => invalidValue(this.#shape.id, column?.name ?? '', this.#where());
    // Changes of what was NULL.
    if (start === behind) throw invalid();
    const prefix = column?.size ?? 4;
    try {
      const document = patchJson(this.#b.subarray(start + prefix, behind), this.#b.subarray(from + prefix, to));
      const length = Buffer.alloc(prefix);
      length.writeUIntLE(document.length, 0, prefix);
      return [length, document];
    } catch (error) {
      if (error instanceof BrokenPatch || error instanceof RangeError) throw invalid();
      throw error;
    }
  }
}
