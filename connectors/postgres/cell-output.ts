/** Cells of the log written as COPY's text or as an array literal, from bytes to bytes. What it writes is what literals.ts writes. */
import { anyEscape, beginMask, codeShift, kindMask, trueCell, falseCell } from '../../src/core/image-scanner.ts';
import { copyCell, quotedElement } from './literals.ts';

/** Longer runs are handed to the native copy, whose call costs more than so many bytes. */
const nativeFromBytes = 40;

export type Quoting = 'copy' | 'array';

export class CellOutput {
  bytes: Buffer;
  at = 0;

  constructor(expectedBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(expectedBytes);
  }

  reserve(more: number): void {
    if (this.at + more <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + more));
    this.bytes.copy(grown, 0, 0, this.at);
    this.bytes = grown;
  }

  /** One byte; room for it was reserved. */
  byte(byte: number): void {
    this.bytes[this.at] = byte;
    this.at += 1;
  }

  /** A cell that is not NULL and needs no conversion. `isBit`: a boolean is 1 or 0 and not t or f. */
  ready(from: Uint8Array, cells: Int32Array, slot: number, quoting: Quoting, isBit: boolean): void {
    const head = cells[slot] as number;
    const code = head >>> codeShift;
    const kind = code & kindMask;
    const begin = head & beginMask;
    const end = cells[slot + 1] as number;
    this.reserve((end - begin) * 2 + 4);
    if (quoting === 'array') this.byte(quote);
    if (kind === trueCell) this.byte(isBit ? 0x31 : 0x74);
    else if (kind === falseCell) this.byte(isBit ? 0x30 : 0x66);
    else if ((code & anyEscape) === 0) this.#plain(from, begin, end);
    else if (quoting === 'copy') this.#unescape(from, begin, end, inCopy);
    else this.#unescape(from, begin, end, inArray);
    if (quoting === 'array') this.byte(quote);
  }

  text(text: string | null, quoting: Quoting): void {
    const spelled = quoting === 'copy' ? copyCell(text) : text === null ? 'NULL' : quotedElement(text);
    this.reserve(spelled.length * 3);
    this.at += this.bytes.write(spelled, this.at, 'utf8');
  }

  null(quoting: Quoting): void {
    this.reserve(8);
    this.at += this.bytes.write(quoting === 'copy' ? '\\N' : 'NULL', this.at, 'latin1');
  }

  #plain(from: Uint8Array, begin: number, end: number): void {
    const { bytes } = this;
    let { at } = this;
    if (end - begin >= nativeFromBytes) bytes.set(from.subarray(begin, end), at);
    else for (let index = begin; index < end; index += 1) bytes[at + index - begin] = from[index] as number;
    at += end - begin;
    this.at = at;
  }

  /** Escapes of JSON, but for `\u`, as what stands for them here; no answer is longer than twice its escape. */
  #unescape(from: Uint8Array, begin: number, end: number, spelled: readonly (Uint8Array | undefined)[]): void {
    const { bytes } = this;
    let { at } = this;
    for (let index = begin; index < end; index += 1) {
      const byte = from[index] as number;
      if (byte !== backslash) {
        bytes[at++] = byte;
        continue;
      }
      index += 1;
      for (const one of spelled[from[index] as number] as Uint8Array) bytes[at++] = one;
    }
    this.at = at;
  }
}

const quote = 0x22;
const backslash = 0x5c;
const escapes = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

function spelledBy(spell: (character: string) => string): readonly (Uint8Array | undefined)[] {
  const table = Array.from<Uint8Array | undefined>({ length: 256 });
  for (const [letter, character] of Object.entries(escapes)) table[letter.charCodeAt(0)] = Buffer.from(spell(character));
  return table;
}
const inCopy = spelledBy(copyCell);
/** Without the quotes around it. */
const inArray = spelledBy((character) => quotedElement(character).slice(1, -1));
