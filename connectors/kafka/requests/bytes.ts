/** Kafka's wire types, classic and compact. https://kafka.apache.org/protocol#protocol_types */

/** A piece of a request from so many bytes on is handed to the socket as it is: copying it, four times on kafkajs's way, took a third of producing. */
const largePieceBytes = 16 * 1024;

/** Collects a request's fields in order. */
export class RequestWriter {
  #parts: Buffer[] = [];

  int8(value: number): this {
    return this.#fixed(1, (at) => at.writeInt8(value));
  }
  int16(value: number): this {
    return this.#fixed(2, (at) => at.writeInt16BE(value));
  }
  int32(value: number): this {
    return this.#fixed(4, (at) => at.writeInt32BE(value));
  }
  int64(value: bigint): this {
    return this.#fixed(8, (at) => at.writeBigInt64BE(value));
  }
  boolean(value: boolean): this {
    return this.int8(value ? 1 : 0);
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const bytes = Buffer.from(value);
    this.int16(bytes.length);
    return this.raw(bytes);
  }

  compactString(value: string): this {
    const bytes = Buffer.from(value);
    this.varint(bytes.length + 1);
    return this.raw(bytes);
  }

  bytes(value: Uint8Array): this {
    this.int32(value.length);
    return this.raw(value);
  }

  raw(value: Uint8Array): this {
    this.#parts.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
    return this;
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) write(item);
    return this;
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.varint(items.length + 1);
    for (const item of items) write(item);
    return this;
  }

  /** No tagged fields. In front of a flexible request it also ends the header, which kafkajs writes in the classic form. */
  noTags(): this {
    return this.varint(0);
  }

  varint(value: number): this {
    const bytes: number[] = [];
    let rest = value;
    for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
    bytes.push(rest);
    return this.raw(Buffer.from(bytes));
  }

  toBuffer(): Buffer {
    return Buffer.concat(this.#parts);
  }

  /** The same bytes in as few pieces as large parts allow; those are the caller's memory. */
  toPieces(): Buffer[] {
    const pieces: Buffer[] = [];
    let small: Buffer[] = [];
    for (const part of this.#parts) {
      if (part.length < largePieceBytes) small.push(part);
      else {
        pieces.push(Buffer.concat(small), part);
        small = [];
      }
    }
    if (small.length > 0) pieces.push(Buffer.concat(small));
    return pieces;
  }

  #fixed(size: number, write: (at: Buffer) => void): this {
    const part = Buffer.allocUnsafe(size);
    write(part);
    this.#parts.push(part);
    return this;
  }
}

/** Reads an answer's fields in order; views into the answer where bytes are asked for. A short answer throws RangeError. */
export class ResponseReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#step(1));
  }
  int16(): number {
    return this.#bytes.readInt16BE(this.#step(2));
  }
  int32(): number {
    return this.#bytes.readInt32BE(this.#step(4));
  }
  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#step(8));
  }
  boolean(): boolean {
    return this.int8() !== 0;
  }

  string(): string | null {
    return this.#text(this.int16());
  }
  compactString(): string | null {
    return this.#text(this.varint() - 1);
  }

  /** A view; null where the length is -1. */
  bytes(): Buffer | null {
    const length = this.int32();
    return length < 0 ? null : this.raw(length);
  }

  raw(length: number): Buffer {
    const from = this.#step(length);
    if (from + length > this.#bytes.length) throw new RangeError('the answer is cut');
    return this.#bytes.subarray(from, from + length);
  }

  array<T>(read: () => T): T[] {
    return this.#items(this.int32(), read);
  }
  compactArray<T>(read: () => T): T[] {
    return this.#items(this.varint() - 1, read);
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes.readUInt8(this.#step(1));
      value |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    return value >>> 0;
  }

  /** Tagged fields that we know nothing of. */
  skipTags(): void {
    for (let left = this.varint(); left > 0; left -= 1) {
      this.varint();
      this.raw(this.varint());
    }
  }

  #items<T>(count: number, read: () => T): T[] {
    const items: T[] = [];
    for (let index = 0; index < count; index += 1) items.push(read());
    return items;
  }

  #text(length: number): string | null {
    return length < 0 ? null : this.raw(length).toString('utf8');
  }

  #step(length: number): number {
    const from = this.#at;
    this.#at += length;
    return from;
  }
}
