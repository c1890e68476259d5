/** The last change of every key, by the very bytes of the keys: equal keys of one shape are spelled alike, and differing ones are not. */
import {
  beginMask,
  cellStride,
  codeShift,
  falseCell,
  integerCell,
  kindMask,
  nullCell,
  textCell,
  anyEscape,
} from '../../src/core/image-scanner.ts';
import type { ScannedImages } from '../../src/core/scanned-change.ts';

/** What becomes of one key: the row at `base` of these cells, or its end. */
export interface ScannedRow {
  readonly images: ScannedImages;
  readonly base: number;
  readonly isGone: boolean;
}
type FoldedRow = { -readonly [name in keyof ScannedRow]: ScannedRow[name] };

/** Rows of one shape in order of their key's first touch. `key`: the key's columns by number. */
export class ScannedFold {
  readonly #key: Int32Array;
  readonly #rows: FoldedRow[] = [];
  readonly #hashes: number[] = [];
  /** Open addressing: a row's number plus one. */
  #table: Int32Array;

  constructor(key: Int32Array, expectedRows: number) {
    this.#key = key;
    this.#table = new Int32Array(2 ** Math.ceil(Math.log2(Math.max(16, expectedRows * 2))));
  }

  get rows(): readonly ScannedRow[] {
    return this.#rows;
  }

  /** False where the key has a value that could be spelled in two ways: then nothing was noted. */
  put(images: ScannedImages, base: number, isGone: boolean): boolean {
    const hash = this.#hash(images, base);
    if (hash < 0) return false;
    const mask = this.#table.length - 1;
    let at = hash & mask;
    for (let entry = this.#table[at] as number; entry !== 0; entry = this.#table[at] as number) {
      const known = this.#rows[entry - 1] as FoldedRow;
      if (this.#hashes[entry - 1] === hash && this.#equal(known, images, base)) {
        known.images = images;
        known.base = base;
        known.isGone = isGone;
        return true;
      }
      at = (at + 1) & mask;
    }
    this.#rows.push({ images, base, isGone });
    this.#hashes.push(hash);
    this.#table[at] = this.#rows.length;
    if (this.#rows.length * 2 > this.#table.length) this.#grow();
    return true;
  }

  #grow(): void {
    this.#table = new Int32Array(this.#table.length * 2);
    const mask = this.#table.length - 1;
    for (const [index, hash] of this.#hashes.entries()) {
      let at = hash & mask;
      while (this.#table[at] !== 0) at = (at + 1) & mask;
      this.#table[at] = index + 1;
    }
  }

  #slot({ picks }: ScannedImages, base: number, part: number): number {
    const column = this.#key[part] as number;
    return base + (picks === undefined ? column : (picks[column] as number)) * cellStride;
  }

  /** FNV-1a, at most 31 bits; -1 for a cell that the bytes do not decide. */
  #hash(images: ScannedImages, base: number): number {
    const { bytes, cells } = images;
    let hash = 0x811c9dc5;
    for (let part = 0; part < this.#key.length; part += 1) {
      const slot = this.#slot(images, base, part);
      const head = cells[slot] as number;
      const code = head >>> codeShift;
      const kind = code & kindMask;
      const decides =
        kind === textCell ? (code & anyEscape) === 0 : kind === nullCell || kind === integerCell || (kind <= falseCell && kind > 2);
      if (!decides) return -1;
      const end = cells[slot + 1] as number;
      for (let at = head & beginMask; at < end; at += 1) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
      hash = Math.imul(hash ^ kind, 0x01000193);
    }
    return (hash ^ (hash >>> 15)) & 0x7fffffff;
  }

  #equal({ images: other, base: otherBase }: ScannedRow, images: ScannedImages, base: number): boolean {
    for (let part = 0; part < this.#key.length; part += 1) {
      const left = this.#slot(other, otherBase, part);
      const right = this.#slot(images, base, part);
      const [leftHead, rightHead] = [other.cells[left] as number, images.cells[right] as number];
      if (leftHead >>> codeShift !== rightHead >>> codeShift) return false;
      const begin = leftHead & beginMask;
      const size = (other.cells[left + 1] as number) - begin;
      const from = rightHead & beginMask;
      if ((images.cells[right + 1] as number) - from !== size) return false;
      for (let index = 0; index < size; index += 1) if (other.bytes[begin + index] !== images.bytes[from + index]) return false;
    }
    return true;
  }
}
