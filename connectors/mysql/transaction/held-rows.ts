/**
 * Rows that nobody may have yet: their transaction can still be undone. They are kept as bytes, in memory up to a bound and
 * beyond it in a temporary file. The file loses its name at once, so that it goes with the process, however that ends.
 */
import { randomUUID } from 'node:crypto';
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TableSchema } from '../../../src/core/change.ts';
import { CrossfadeError } from '../../../src/core/errors.ts';
import type { RowChange } from '../../../src/core/source-port.ts';
import { corruptEvent } from '../errors.ts';

/** A change without its transaction, which is not known yet. */
export type HeldRow = Omit<RowChange, 'transaction'>;

const chunkBytes = 256 * 1024;
const firstChunkBytes = 2048;
/** Length of the whole, op, schema, ordinal, pos, row, and the lengths of before, after, key and old key. */
const headBytes = 4 + 4 + 4 + 4 + 8 + 4 + 4 * 4;
const absent = 0xffffffff;
const ops = ['c', 'u', 'd', 't'] as const;

export class HeldRows implements Disposable {
  readonly #memoryBytes: number;
  readonly #folder: string;
  readonly #schemas: TableSchema[] = [];
  /** Finished chunks that are not in the file; the last one is open and filled up to `#used`. */
  #chunks: Buffer[] = [];
  #used = 0;
  #chunkedBytes = 0;
  #file: number | undefined;
  #fileBytes = 0;
  #closed = false;
  #count = 0;

  /** `memoryBytes`: what is kept without a file. */
  constructor(memoryBytes: number, folder: string = tmpdir()) {
    this.#memoryBytes = memoryBytes;
    this.#folder = folder;
  }

  get inFile(): boolean {
    return this.#file !== undefined;
  }
  /** What it takes of memory. */
  get memoryBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  }

  /** Leaves the memory. */
  moveToFile(): void {
    if (this.#chunks.length > 0) this.#toFile();
  }

  /** How many rows there are. */
  get count(): number {
    return this.#count;
  }

  add(row: HeldRow): void {
    this.#count += 1;
    const images = [row.before, row.after, row.key, row.oldKey];
    const size = images.reduce((sum, image) => sum + (image?.length ?? 0), headBytes);
    const chunk = this.#room(size);
    let at = this.#used;
    chunk.writeUInt32LE(size, at);
    chunk.writeUInt32LE(ops.indexOf(row.op), at + 4);
    chunk.writeUInt32LE(this.#schemaNumber(row.schema), at + 8);
    chunk.writeUInt32LE(row.ordinal, at + 12);
    chunk.writeDoubleLE(row.pos, at + 16);
    chunk.writeUInt32LE(row.row, at + 24);
    images.forEach((image, index) => chunk.writeUInt32LE(image?.length ?? absent, at + 28 + 4 * index));
    at += headBytes;
    for (const image of images) {
      if (image === null) continue;
      chunk.set(image, at);
      at += image.length;
    }
    this.#used = at;
  }

  /** In the order in which they came; each owns its bytes. Reads the file in pieces. */
  *rows(): Generator<HeldRow, void, undefined> {
    for (let at = 0; at < this.#fileBytes;) {
      const size = this.#read(at, 4).readUInt32LE(0);
      const piece = this.#read(at, Math.max(size, Math.min(chunkBytes, this.#fileBytes - at)));
      at += yield* this.#parse(piece, piece.length);
    }
    for (const [index, chunk] of this.#chunks.entries())
      yield* this.#parse(chunk, index === this.#chunks.length - 1 ? this.#used : undefined);
  }

  /** The same without some of them; this one is over. */
  filter(keeps: (row: HeldRow, index: number) => boolean): HeldRows {
    const kept = new HeldRows(this.#memoryBytes, this.#folder);
    let index = 0;
    for (const row of this.rows()) {
      if (keeps(row, index)) kept.add(row);
      index += 1;
    }
    this[Symbol.dispose]();
    return kept;
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#chunks = [];
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
    this.#fileBytes = 0;
  }

  /** Answers how many bytes whole rows took; a chunk of the memory ends where its zeros begin. */
  *#parse(b: Buffer, end = b.length): Generator<HeldRow, number, undefined> {
    let at = 0;
    while (at + headBytes <= end) {
      const size = b.readUInt32LE(at);
      if (size === 0 || at + size > end) break;
      yield this.#row(b, at);
      at += size;
    }
    return at;
  }

  #row(b: Buffer, from: number): HeldRow {
    const op = ops[b.readUInt32LE(from + 4)];
    const schema = this.#schemas[b.readUInt32LE(from + 8)];
    if (!op || !schema) throw corruptEvent('a held row cannot be read again', 'the temporary file');
    let at = from + headBytes;
    const image = (index: number): Uint8Array | null => {
      const size = b.readUInt32LE(from + 28 + 4 * index);
      if (size === absent) return null;
      at += size;
      return new Uint8Array(b.buffer, b.byteOffset + at - size, size);
    };
    return {
      op,
      schema,
      ordinal: b.readUInt32LE(from + 12),
      pos: b.readDoubleLE(from + 16),
      row: b.readUInt32LE(from + 24),
      before: image(0),
      after: image(1),
      key: image(2) ?? new Uint8Array(),
      oldKey: image(3),
    };
  }

  #schemaNumber(schema: TableSchema): number {
    const last = this.#schemas.lastIndexOf(schema);
    return last >= 0 ? last : this.#schemas.push(schema) - 1;
  }

  /** The chunk in which `size` bytes fit behind `#used`. */
  #room(size: number): Buffer {
    if (this.#closed) throw corruptEvent('rows are held of a transaction that is over', 'the temporary file');
    const open = this.#chunks.at(-1);
    if (open && this.#used + size <= open.length) return open;
    if (open) this.#chunkedBytes += this.#used;
    if (this.#file !== undefined || this.#chunkedBytes + size > this.#memoryBytes) this.#toFile();
    // Small at first: thousands of prepared transactions may wait, most of them with a row or two.
    const chunk = Buffer.alloc(Math.max(size, Math.min(chunkBytes, firstChunkBytes + this.#chunkedBytes)));
    this.#chunks.push(chunk);
    this.#used = 0;
    return chunk;
  }

  #toFile(): void {
    const open = this.#chunks.length - 1;
    for (const [index, chunk] of this.#chunks.entries()) this.#write(chunk, index === open ? this.#used : wholeRows(chunk));
    this.#chunks = [];
    this.#chunkedBytes = 0;
  }

  #write(chunk: Buffer, bytes: number): void {
    try {
      this.#file ??= nameless(this.#folder);
      for (let done = 0; done < bytes;) done += writeSync(this.#file, chunk, done, bytes - done, this.#fileBytes + done);
      this.#fileBytes += bytes;
    } catch (error) {
      throw fileTrouble(this.#folder, error);
    }
  }

  #read(at: number, bytes: number): Buffer {
    // A buffer for each piece: the rows in it are handed on as views.
    const piece = Buffer.allocUnsafeSlow(bytes);
    try {
      if (this.#file === undefined) throw new Error('the file is closed');
      for (let done = 0; done < bytes;) {
        const count = readSync(this.#file, piece, done, bytes - done, at + done);
        if (count === 0) throw new Error('the file ends too early');
        done += count;
      }
    } catch (error) {
      throw fileTrouble(this.#folder, error);
    }
    return piece;
  }
}

function wholeRows(chunk: Buffer): number {
  let at = 0;
  while (at + headBytes <= chunk.length) {
    const size = chunk.readUInt32LE(at);
    if (size === 0) break;
    at += size;
  }
  return at;
}

function nameless(folder: string): number {
  const path = join(folder, `crossfade-held-${randomUUID()}`);
  const file = openSync(path, 'wx+', 0o600);
  unlinkSync(path);
  return file;
}

function fileTrouble(folder: string, cause: unknown): CrossfadeError {
  return new CrossfadeError({
    code: 'SOURCE_FAILED',
    fault: 'retry',
    message: `the rows of a transaction that is not decided yet cannot be kept in a temporary file under ${folder}`,
    remedy: `Make room under ${folder}, or point TMPDIR to a folder that has some. Nothing was lost: capture reads the transaction again.`,
    cause,
  });
}
