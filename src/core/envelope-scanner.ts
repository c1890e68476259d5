/**
 * The fast way into an envelope: its parts found in the bytes, in the very order and spelling in which envelope.ts writes
 * them. Every byte is looked at; whatever is otherwise is left to the parser, which alone says what is wrong.
 */
import type { TableSchema } from './change.ts';
import { beginMask, cellStride, ImageScanner, scannedBytesMax } from './image-scanner.ts';

/** Cells of many images in few arrays; a full one stays with those who point into it. */
class CellArena {
  cells = new Int32Array(0);
  #used = 0;

  /** Where so many numbers may be written in `cells`. */
  reserve(size: number): number {
    if (this.#used + size > this.cells.length) {
      this.cells = new Int32Array(Math.max(arenaLength, size));
      this.#used = 0;
    }
    return this.#used;
  }

  keep(size: number): void {
    this.#used += size;
  }
}
const arenaLength = 32 * 1024;

/** What a scan found; good until the next one, but for `cells`. */
export interface ScannedEnvelope {
  readonly op: 'insert' | 'update' | 'delete' | 'read';
  readonly bytes: Buffer;
  readonly cells: Int32Array;
  /** Where the image's cells begin in `cells`; -1: it has none. */
  readonly beforeAt: number;
  readonly afterAt: number;
  readonly transactionId: string;
}

type Found = { -readonly [name in keyof ScannedEnvelope]: ScannedEnvelope[name] };

const scanners = new WeakMap<TableSchema, EnvelopeScanner | null>();

/** undefined for a shape whose rows cannot be scanned. */
export function envelopeScanner(schema: TableSchema): EnvelopeScanner | undefined {
  let scanner = scanners.get(schema);
  if (scanner === undefined) {
    const images = ImageScanner.of(schema);
    scanner = images === undefined ? null : new EnvelopeScanner(images);
    scanners.set(schema, scanner);
  }
  return scanner ?? undefined;
}

const operations = { 0x63: 'insert', 0x75: 'update', 0x64: 'delete', 0x72: 'read' } as const;

export class EnvelopeScanner {
  readonly #images: ImageScanner;
  readonly #imageSize: number;
  readonly #arena = new CellArena();
  /** Of the envelope before: what of its end is the same for all rows of one table in one transaction. */
  #last: Buffer = Buffer.alloc(0);
  #headFrom = 0;
  #headTo = 0;
  #middleFrom = 0;
  #middleTo = 0;
  #transactionId = '';
  #foundId = '';
  #op: ScannedEnvelope['op'] | undefined;
  readonly #found: Found = { op: 'insert', bytes: Buffer.alloc(0), cells: new Int32Array(0), beforeAt: -1, afterAt: -1, transactionId: '' };

  constructor(images: ImageScanner) {
    this.#images = images;
    this.#imageSize = images.columns * cellStride;
  }

  /** undefined where the envelope is not exactly as ours are. */
  scan(value: Uint8Array): ScannedEnvelope | undefined {
    const bytes = value instanceof Buffer ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return this.scanIn(bytes, 0, bytes.length);
  }

  /** The same of what lies from `from` to below `to`, among others perhaps. */
  scanIn(all: Buffer, begin: number, until: number): ScannedEnvelope | undefined {
    if (until - begin >= scannedBytesMax) return undefined;
    // Places beyond those that fit beside a code are counted from the envelope's own begin.
    const isFar = until > beginMask;
    const bytes = isFar ? all.subarray(begin, until) : all;
    const [from, to] = isFar ? [0, bytes.length] : [begin, until];
    const images = this.#images;
    images.sawHighBytes = false;
    const size = this.#imageSize;
    const base = this.#arena.reserve(size * 2);
    const { cells } = this.#arena;
    let at = matched(bytes, from, beforePart);
    if (at < 0) return undefined;
    const hasBefore = bytes[at] === openBrace;
    at = hasBefore ? images.scan(bytes, at, cells, base) : matched(bytes, at, nullPart);
    if (at < 0) return undefined;
    at = matched(bytes, at, afterPart);
    if (at < 0) return undefined;
    const hasAfter = bytes[at] === openBrace;
    const after = hasBefore ? base + size : base;
    at = hasAfter ? images.scan(bytes, at, cells, after) : matched(bytes, at, nullPart);
    if (at < 0 || !this.#end(bytes, at, to)) return undefined;
    const op = this.#op as ScannedEnvelope['op'];
    const needsBefore = op === 'update' || op === 'delete';
    if (hasBefore !== needsBefore || hasAfter === (op === 'delete')) return undefined;
    if (images.sawHighBytes && bytes.toString('utf8', from, to).includes('\ufffd')) {
      // What the next envelope has in common with this one was not found good.
      this.#headTo = this.#headFrom;
      this.#middleTo = this.#middleFrom;
      return undefined;
    }
    this.#arena.keep(hasBefore && hasAfter ? size * 2 : size);
    const found = this.#found;
    found.op = op;
    found.bytes = bytes;
    found.cells = cells;
    found.beforeAt = hasBefore ? base : -1;
    found.afterAt = hasAfter ? after : -1;
    found.transactionId = this.#transactionId;
    return found;
  }

  /** Everything behind the images. */
  #end(bytes: Buffer, from: number, to: number): boolean {
    let at = this.#head(bytes, from, to);
    if (at < 0) return false;
    const headTo = at;
    at = digits(bytes, at);
    at = matched(bytes, at, rowPart);
    at = digits(bytes, at);
    const middleFrom = at;
    at = this.#middle(bytes, at);
    if (at < 0) return false;
    const middleTo = at;
    at = digits(bytes, at);
    at = matched(bytes, at, collectionPart);
    at = digits(bytes, at);
    at = matched(bytes, at, opPart);
    if (at < 0) return false;
    this.#op = operations[bytes[at] as keyof typeof operations];
    at = matched(bytes, at + 1, timePart);
    at = digits(bytes, at);
    if (this.#op === undefined || at < 0 || bytes[at] !== closeBrace || at + 1 !== to) return false;
    this.#last = bytes;
    this.#headFrom = from;
    this.#headTo = headTo;
    this.#middleFrom = middleFrom;
    this.#middleTo = middleTo;
    this.#transactionId = this.#foundId;
    return true;
  }

  /** From `,"source":` up to its position. */
  #head(bytes: Buffer, from: number, until: number): number {
    const to = from + this.#headTo - this.#headFrom;
    // Those bytes were read once: equal ones need no second look.
    if (to > from && to < until && bytes.compare(this.#last, this.#headFrom, this.#headTo, from, to) === 0) return to;
    let at = from;
    for (const { part, holds } of headParts) {
      at = matched(bytes, at, part);
      if (at < 0) return -1;
      if (holds === 'text') at = bytes[at] === 0x6e ? matched(bytes, at, nullPart) : this.#images.text(bytes, at);
      else if (holds === 'digits') at = digits(bytes, at);
      if (at < 0) return -1;
    }
    return at;
  }

  #middle(bytes: Buffer, from: number): number {
    if (from < 0) return -1;
    const size = this.#middleTo - this.#middleFrom;
    if (size > 0 && equal(bytes, from, this.#last, this.#middleFrom, size)) {
      this.#foundId = this.#transactionId;
      return from + size;
    }
    const begin = matched(bytes, from, transactionPart);
    if (begin < 0) return -1;
    const end = this.#images.text(bytes, begin);
    if (end < 0) return -1;
    const text = bytes.toString('utf8', begin, end);
    this.#foundId = text.includes('\\') ? (JSON.parse(text) as string) : text.slice(1, -1);
    return matched(bytes, end, totalPart);
  }
}

const openBrace = 0x7b;
const closeBrace = 0x7d;
const nullPart = Buffer.from('null');
const beforePart = Buffer.from('{"before":');
const afterPart = Buffer.from(',"after":');
const rowPart = Buffer.from(',"row":');
const transactionPart = Buffer.from('},"transaction":{"id":');
const totalPart = Buffer.from(',"total_order":');
const collectionPart = Buffer.from(',"data_collection_order":');
const opPart = Buffer.from('},"op":"');
const timePart = Buffer.from('","ts_ms":');

const headPart = (part: string, holds: 'text' | 'digits' | 'nothing') => ({ part: Buffer.from(part), holds });
const headParts = [
  headPart(',"source":{"version":', 'text'),
  headPart(',"connector":', 'text'),
  headPart(',"name":', 'text'),
  headPart(',"ts_ms":', 'digits'),
  headPart(',"snapshot":', 'text'),
  headPart(',"db":', 'text'),
  headPart(',"ts_us":', 'digits'),
  headPart(',"table":', 'text'),
  headPart(',"server_id":', 'digits'),
  headPart(',"gtid":', 'text'),
  headPart(',"file":', 'text'),
  headPart(',"pos":', 'nothing'),
] as const;

/** The place behind `part`, or -1. */
function matched(bytes: Uint8Array, at: number, part: Uint8Array): number {
  if (at < 0) return -1;
  for (let index = 0; index < part.length; index += 1) if (bytes[at + index] !== part[index]) return -1;
  return at + part.length;
}

/** The place behind a number without sign, fraction or leading zeros, or -1. */
function digits(bytes: Uint8Array, from: number): number {
  if (from < 0) return -1;
  let at = from;
  for (let byte = bytes[at]; byte !== undefined && byte >= 0x30 && byte <= 0x39; byte = bytes[at]) at += 1;
  return at === from || (bytes[from] === 0x30 && at > from + 1) ? -1 : at;
}

function equal(left: Uint8Array, at: number, right: Uint8Array, from: number, size: number): boolean {
  for (let index = 0; index < size; index += 1) if (left[at + index] !== right[from + index]) return false;
  return true;
}
