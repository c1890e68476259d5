/**
 * The growable buffer that compiled decoders write row images into. Finished rows are never moved or overwritten: a
 * chunk that is full is left to the rows that live in it, and only the row at hand is copied into the next one.
 */
const chunkBytes = 512 * 1024;

/** Of a table of either server; a configured key may name them all. */
const mostColumns = 4096;

export class JsonOut {
  buf: Buffer = Buffer.allocUnsafeSlow(chunkBytes);
  view: DataView = new DataView(this.buf.buffer);
  /** Where the next byte goes. */
  at = 0;
  /** Where the row at hand starts; everything before belongs to rows that were handed out. */
  start = 0;
  /** A value that says it is larger than this is not even unpacked. */
  mostBytes: number = Number.POSITIVE_INFINITY;
  /** Byte ranges of the key columns' values in the last image, relative to `start`: from, to, from, to… */
  readonly keyRanges: Int32Array = new Int32Array(2 * mostColumns);

  /** Makes room for `bytes` behind `at`; `buf`, `view`, `at` and `start` may be others afterwards. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buf.length) return;
    const used = this.at - this.start;
    const grown = Buffer.allocUnsafeSlow(Math.max(chunkBytes, used + bytes + (used > chunkBytes ? used : 0)));
    this.buf.copy(grown, 0, this.start, this.at);
    this.buf = grown;
    this.view = new DataView(grown.buffer);
    this.at = used;
    this.start = 0;
  }

  /** A view of a finished part of the row at hand, by offsets relative to `start`. */
  slice(from: number, to: number): Uint8Array {
    return new Uint8Array(this.buf.buffer, this.start + from, to - from);
  }

  /** Whether two parts of the row at hand hold the same bytes. */
  equal(from: number, to: number, otherFrom: number, otherTo: number): boolean {
    if (to - from !== otherTo - otherFrom) return false;
    const { buf, start } = this;
    for (let index = 0; index < to - from; index += 1) if (buf[start + from + index] !== buf[start + otherFrom + index]) return false;
    return true;
  }

  /** Ends the row at hand: its bytes now belong to their readers. A large row has its memory alone: see `freeImages`. */
  commit(): void {
    this.start = this.at;
    if (this.buf.length > chunkBytes) this.#renew();
  }

  #renew(): void {
    this.buf = Buffer.allocUnsafeSlow(chunkBytes);
    this.view = new DataView(this.buf.buffer);
    this.at = 0;
    this.start = 0;
  }

  /** Forgets what was written of the row at hand. */
  abandon(): void {
    this.at = this.start;
  }

  /** Appends any text; for values that have no path of their own. `spare` bytes stay free behind it. */
  text(text: string, spare: number): void {
    this.reserve(text.length * 3 + spare);
    this.at += this.buf.write(text, this.at, 'utf8');
  }
}

/** Gives the memory of large rows back now; nobody may look at these images and keys again. */
export function freeImages(images: readonly (Uint8Array | null)[]): void {
  for (const image of images) if (image?.buffer instanceof ArrayBuffer && image.buffer.byteLength > chunkBytes) image.buffer.transfer(0);
}
