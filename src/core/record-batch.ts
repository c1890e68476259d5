/**
 * Kafka's RecordBatch v2, the one format of both logs: the embedded log stores the very bytes that a broker would get.
 * CRC32C and zstd are handed in, because core has no packages.
 * Layout: https://kafka.apache.org/documentation/#recordbatch
 */
import { invariant } from './assert.ts';
import { HeaderReader } from './record-headers.ts';
import { appendOpen, openHeaderBytes, type RecordHeaders, versionFrom } from './row-headers.ts';
import { varintSize, writeVarint } from './varint.ts';
import { versionWidth } from './version.ts';

export interface Codec {
  crc32c(bytes: Uint8Array): number;
  /** zstd, level 1. */
  compress(bytes: Uint8Array): Uint8Array;
  /** The same on another thread; `bytes` must stay as they are until then. */
  compressLater(bytes: Uint8Array): Promise<Uint8Array>;
  decompress(bytes: Uint8Array, expectedBytes: number): Uint8Array;
}

export const headerBytes = 61;
export const crcFrom = 21;
export const attributesAt = 21;
export const zstd = 4;
/** Below this many records zstd costs more than it saves (measured: 2–5 times the CPU a record). */
const compressFromRecords = 40;
/** Below this many plain bytes the way to another thread and back takes longer than zstd does. */
const laterFromBytes = 64 * 1024;
/** There may be a thousand partitions, with a row each. */
const smallBytes = 8 * 1024;
const largeBytes = 8 * 1024 * 1024;

/** A value that is written where it belongs, so that it is copied once. */
export interface ValueWriter {
  readonly length: number;
  /** Answers the place behind. */
  copyTo(target: Uint8Array, at: number): number;
}

/** What a finished batch is made of: plain records in a builder's memory, from `headerBytes` to `end`. */
export interface PlainBatch {
  readonly memory: ArrayBuffer;
  readonly end: number;
  readonly count: number;
  readonly baseTimestamp: number;
  readonly maxTimestamp: number;
}

/** Collects the records of one partition. Reusable after `reset`; `bytes` is the size of the plain records. */
export class RecordBatchBuilder {
  #buffer: Buffer<ArrayBuffer> = Buffer.allocUnsafeSlow(smallBytes);
  #length = headerBytes;
  #baseTimestamp = 0;
  #maxTimestamp = 0;
  #firstHeadersAt = 0;
  #firstHeadersEnd = 0;
  #lastTransactionId = '';
  /** Where the last record lies, so that it can be opened. */
  #lastStart = 0;
  #lastBodyBytes = 0;
  #lastHeadersAt = 0;
  #lastIsOpen = false;
  count = 0;

  get bytes(): number {
    return this.#length - headerBytes;
  }
  /** What it takes of memory, full or empty. */
  get capacityBytes(): number {
    return this.#buffer.length;
  }
  get firstVersion(): string {
    return this.#versionAt(this.#firstHeadersAt);
  }
  get lastVersion(): string {
    return this.#versionAt(this.#lastHeadersAt);
  }
  /** Of the first record, in µs since 1970. */
  get firstCommittedAtUs(): number {
    return new HeaderReader(this.#buffer, 'a batch').read({ at: this.#firstHeadersAt }, this.#firstHeadersEnd).committedAtUs;
  }
  get lastTransactionId(): string {
    return this.#lastTransactionId;
  }

  #versionAt(headersAt: number): string {
    return this.count === 0 ? '' : this.#buffer.toString('latin1', headersAt + versionFrom, headersAt + versionFrom + versionWidth);
  }

  reset(): void {
    this.#length = headerBytes;
    this.count = 0;
    if (this.#buffer.length <= largeBytes) return;
    // One huge row must not pin its memory for the life of the pipeline, nor until the next collection of garbage.
    this.#buffer.buffer.transfer(0);
    this.#buffer = Buffer.allocUnsafeSlow(smallBytes);
  }

  /** Copies everything; the caller's buffers are free at once. */
  add(
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | ValueWriter | null,
    headers: RecordHeaders,
    transactionId: string,
  ): void {
    if (this.count === 0) {
      this.#baseTimestamp = timestampMs;
      this.#maxTimestamp = timestampMs;
    }
    if (timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs;
    this.#lastTransactionId = transactionId;
    const delta = timestampMs - this.#baseTimestamp;
    const keyLength = key === null ? -1 : key.length;
    const valueLength = value === null ? -1 : value.length;
    const size =
      1 +
      varintSize(delta) +
      varintSize(this.count) +
      varintSize(keyLength) +
      Math.max(keyLength, 0) +
      varintSize(valueLength) +
      Math.max(valueLength, 0) +
      headers.size;
    // With room for `openLast`: a row of 100 MB must not be copied for one more header.
    this.#reserve(size + openHeaderBytes + 20);
    const buffer = this.#buffer;
    this.#lastStart = this.#length;
    let at = writeVarint(buffer, this.#length, size);
    buffer[at++] = 0;
    at = writeVarint(buffer, at, delta);
    at = writeVarint(buffer, at, this.count);
    at = writeVarint(buffer, at, keyLength);
    if (key !== null) {
      buffer.set(key, at);
      at += keyLength;
    }
    at = writeVarint(buffer, at, valueLength);
    if (value !== null) {
      if (value instanceof Uint8Array) {
        buffer.set(value, at);
        at += valueLength;
      } else at = value.copyTo(buffer, at);
    }
    this.#lastBodyBytes = size;
    this.#lastHeadersAt = at;
    if (this.count === 0) this.#firstHeadersAt = at;
    this.#lastIsOpen = headers.open;
    this.#length = headers.write(buffer, at);
    if (this.count === 0) this.#firstHeadersEnd = this.#length;
    this.count += 1;
  }

  /** The batch is cut here, and the transaction of its last record goes on in the next one of its partition. */
  openLast(): void {
    invariant(this.count > 0, 'an empty batch has no last record');
    if (this.#lastIsOpen) return;
    this.#reserve(openHeaderBytes + 10);
    const buffer = this.#buffer;
    const size = this.#lastBodyBytes + openHeaderBytes;
    const longer = varintSize(size) - varintSize(this.#lastBodyBytes);
    // The length in front may take another byte: then everything behind it moves.
    if (longer > 0) {
      const body = this.#lastStart + varintSize(this.#lastBodyBytes);
      buffer.copyWithin(body + longer, body, this.#length);
    }
    writeVarint(buffer, this.#lastStart, size);
    this.#lastHeadersAt += longer;
    if (this.count === 1) this.#firstHeadersAt = this.#lastHeadersAt;
    this.#lastBodyBytes = size;
    this.#lastIsOpen = true;
    this.#length = appendOpen(buffer, this.#lastHeadersAt, this.#length + longer);
    if (this.count === 1) this.#firstHeadersEnd = this.#length;
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#buffer.length * 2, this.#length + more));
    this.#buffer.copy(grown, 0, 0, this.#length);
    if (this.#buffer.length > largeBytes) this.#buffer.buffer.transfer(0);
    this.#buffer = grown;
  }

  /**
   * This very memory, to be finished elsewhere. It may be transferred to another thread; nothing may be asked of the builder
   * then until it has its memory again, or was reset.
   */
  plain(): PlainBatch {
    invariant(this.count > 0, 'a record batch has at least one record');
    const { count } = this;
    const [baseTimestamp, maxTimestamp] = [this.#baseTimestamp, this.#maxTimestamp];
    return { memory: this.#buffer.buffer, end: this.#length, count, baseTimestamp, maxTimestamp };
  }

  /** The memory of `plain`, back from another thread. */
  takeBack(memory: ArrayBuffer): void {
    this.#buffer = Buffer.from(memory);
  }

  /** See `finishBatch`. */
  finish(codec: Codec, baseOffset: number, producer?: BatchProducer): Uint8Array {
    return finishBatch(this.plain(), codec, baseOffset, producer);
  }

  /** See `finishBatchLater`. */
  finishLater(codec: Codec, baseOffset: number, producer?: BatchProducer): Uint8Array | Promise<Uint8Array> {
    return finishBatchLater(this.plain(), codec, baseOffset, producer);
  }
}

/**
 * Gives memory back that nobody needs any more: it lies outside the heap, so garbage of it would pile up until the heap is full.
 * What is smaller than Node's pool may share it with others.
 */
export function freeBytes(bytes: Uint8Array): void {
  if (bytes.buffer instanceof ArrayBuffer && bytes.length > Buffer.poolSize) bytes.buffer.transfer(0);
}

/** Kafka's; the embedded log leaves them at -1. */
export interface BatchProducer {
  readonly id: bigint;
  readonly epoch: number;
  readonly sequence: number;
}

/** The finished batch, in memory of its own; a large one that was not compressed in the builder's, good until its `reset`. */
export function finishBatch(batch: PlainBatch, codec: Codec, baseOffset: number, producer?: BatchProducer): Uint8Array {
  const packed = batch.count >= compressFromRecords ? codec.compress(recordsOf(batch)) : undefined;
  return assembled(batch, packed, { codec, baseOffset, producer, inPlaceFrom: largeBytes });
}

/**
 * The same, compressed on another thread where that pays: the caller's goes on with the next batch meanwhile. The builder is
 * not to be touched until the bytes are not needed any more: what did not shrink is finished in its memory.
 */
function finishBatchLater(batch: PlainBatch, codec: Codec, baseOffset: number, producer?: BatchProducer): Uint8Array | Promise<Uint8Array> {
  if (batch.count < compressFromRecords || batch.end < laterFromBytes) return finishBatch(batch, codec, baseOffset, producer);
  return codec.compressLater(recordsOf(batch)).then((packed) => assembled(batch, packed, { codec, baseOffset, producer, inPlaceFrom: 0 }));
}

const recordsOf = ({ memory, end }: PlainBatch) => Buffer.from(memory, headerBytes, end - headerBytes);

interface Finishing {
  readonly codec: Codec;
  readonly baseOffset: number;
  readonly producer: BatchProducer | undefined;
  /** More plain bytes than that are not copied out of the builder's memory. */
  readonly inPlaceFrom: number;
}

function assembled(batch: PlainBatch, packed: Uint8Array | undefined, finishing: Finishing): Uint8Array {
  const { codec, baseOffset, producer, inPlaceFrom } = finishing;
  const buffer = Buffer.from(batch.memory, 0, batch.end);
  const plain = buffer.subarray(headerBytes);
  const body = packed !== undefined && packed.length < plain.length ? packed : plain;
  const inPlace = body === plain && plain.length > inPlaceFrom;
  const out = inPlace ? buffer : Buffer.allocUnsafe(headerBytes + body.length);
  out.writeBigInt64BE(BigInt(baseOffset), 0);
  out.writeInt32BE(out.length - 12, 8);
  out.writeInt32BE(-1, 12);
  out[16] = 2;
  out.writeInt16BE(body === plain ? 0 : zstd, attributesAt);
  out.writeInt32BE(batch.count - 1, 23);
  out.writeBigInt64BE(BigInt(batch.baseTimestamp), 27);
  out.writeBigInt64BE(BigInt(batch.maxTimestamp), 35);
  out.writeBigInt64BE(producer?.id ?? -1n, 43);
  out.writeInt16BE(producer?.epoch ?? -1, 51);
  out.writeInt32BE(producer?.sequence ?? -1, 53);
  out.writeInt32BE(batch.count, 57);
  if (!inPlace) out.set(body, headerBytes);
  if (packed !== undefined && packed.buffer !== batch.memory) freeBytes(packed);
  out.writeUInt32BE(codec.crc32c(out.subarray(crcFrom)) >>> 0, 17);
  return out;
}
