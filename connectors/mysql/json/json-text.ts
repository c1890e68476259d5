/**
 * MySQL's binary JSON as the text that SELECT prints, written straight into the JSON string that carries it in the log.
 * Whatever a server would not have stored is refused: places out of bounds, parts that overlap, deeper than it allows.
 */
import { writeJsonDouble } from './json-double.ts';
import { fixedBytes, isInlined, jsonType, mostDepth } from './json-format.ts';
import { opaqueRoom, writeOpaque } from './json-opaque.ts';
import type { JsonOut } from '../values/row-out.ts';
import { jsonStringBytes, mostBytesOfByte, writeJsonString } from './json-string.ts';
import { writeInt, writeLong } from '../values/values-number.ts';

/** Room for any number, literal, separator or pair of quotes. */
const scalarRoom = 64;
/** Strings longer than this are measured before room is made for them. */
const longBytes = 8 * 1024;
/** Room behind a long string for what usually follows, so that a large row is not copied for the sake of its last bytes. */
const behindLong = 4 * 1024;

const literals = [Buffer.from('null'), Buffer.from('true'), Buffer.from('false')] as const;

/** Appends the document of `b` from `from` to `to` as a JSON string; `room` bytes stay free behind it. False: it is broken. */
export function writeJson(out: JsonOut, room: number, b: Buffer, from: number, to: number): boolean {
  out.reserve(Math.min(to - from, longBytes) * 2 + scalarRoom + room);
  writer.begin(out, room, b, to - from);
  const isWhole = writer.document(from, to);
  writer.finish();
  return isWhole;
}

/** One object for all documents: nothing is allocated for one. Methods answer false where the document is broken. */
class DocumentWriter {
  #out: JsonOut | undefined;
  #room = 0;
  #b: Buffer = Buffer.alloc(0);
  #w: Buffer = this.#b;
  #q = 0;
  /** Bytes of the document that no value has claimed yet: parts that overlap use it up, so the work is bounded by the size. */
  #left = 0;
  /** Behind the last value that was read. */
  #behind = 0;

  begin(out: JsonOut, room: number, b: Buffer, bytes: number): void {
    this.#out = out;
    this.#room = room;
    this.#b = b;
    this.#w = out.buf;
    this.#q = out.at;
    this.#left = bytes;
  }

  finish(): void {
    if (this.#out) this.#out.at = this.#q;
    this.#out = undefined;
    this.#b = none;
    this.#w = none;
  }

  document(from: number, to: number): boolean {
    this.#w[this.#q++] = 34;
    // INSERT IGNORE can leave no bytes at all in a column that is NOT NULL; the server reads them as null.
    if (from === to) this.#literal(0);
    else if (!this.#claim(1) || !this.#value(this.#b[from] as number, from + 1, to, 1) || this.#behind !== to) return false;
    this.#w[this.#q++] = 34;
    return true;
  }

  #claim(bytes: number): boolean {
    this.#left -= bytes;
    return this.#left >= 0;
  }

  #reserve(bytes: number): void {
    const needed = bytes + scalarRoom + this.#room;
    if (this.#q + needed <= this.#w.length) return;
    const out = this.#out as JsonOut;
    out.at = this.#q;
    out.reserve(needed);
    this.#w = out.buf;
    this.#q = out.at;
  }

  #literal(which: number): boolean {
    const text = literals[which];
    if (!text) return false;
    for (let index = 0; index < text.length; index += 1) this.#w[this.#q + index] = text[index] as number;
    this.#q += text.length;
    return true;
  }

  /** The value whose bytes begin at `at` and end before `limit`; there is scalar room when this is called. */
  #value(type: number, at: number, limit: number, depth: number): boolean {
    switch (type) {
      case jsonType.smallObject:
      case jsonType.smallArray:
        return this.#container(type, at, limit, depth, 2);
      case jsonType.largeObject:
      case jsonType.largeArray:
        return this.#container(type, at, limit, depth, 4);
      case jsonType.string:
        return this.#string(at, limit);
      case jsonType.opaque:
        return this.#opaque(at, limit);
      default:
        return this.#fixed(type, at, limit);
    }
  }

  #fixed(type: number, at: number, limit: number): boolean {
    const size = fixedBytes[type];
    if (size === undefined || size > limit - at || !this.#claim(size)) return false;
    this.#behind = at + size;
    return this.#number(type, at);
  }

  #number(type: number, at: number): boolean {
    const b = this.#b;
    switch (type) {
      case jsonType.literal:
        return this.#literal(b[at] as number);
      case jsonType.int16:
        this.#q = writeInt(this.#w, this.#q, (((b[at] as number) | ((b[at + 1] as number) << 8)) << 16) >> 16);
        return true;
      case jsonType.uint16:
        this.#q = writeInt(this.#w, this.#q, (b[at] as number) | ((b[at + 1] as number) << 8));
        return true;
      case jsonType.int32:
        this.#q = writeInt(this.#w, this.#q, b.readInt32LE(at));
        return true;
      case jsonType.uint32:
        this.#q = writeInt(this.#w, this.#q, b.readUInt32LE(at));
        return true;
      case jsonType.int64:
        this.#q = writeLong(this.#w, this.#q, b.readUInt32LE(at), b.readInt32LE(at + 4));
        return true;
      case jsonType.uint64:
        this.#q = writeLong(this.#w, this.#q, b.readUInt32LE(at), b.readUInt32LE(at + 4));
        return true;
      default: {
        const behind = writeJsonDouble(this.#w, this.#q, b.readDoubleLE(at));
        if (behind < 0) return false;
        this.#q = behind;
        return true;
      }
    }
  }

  /** Its length, seven bits a byte, the lowest first; -1 where it does not end. Moves `#behind` behind it. */
  #length(at: number, limit: number): number {
    let length = 0;
    for (let index = 0; index < 5 && at + index < limit; index += 1) {
      const byte = this.#b[at + index] as number;
      length += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) {
        this.#behind = at + index + 1;
        return length;
      }
    }
    return -1;
  }

  #string(at: number, limit: number): boolean {
    const length = this.#length(at, limit);
    const from = this.#behind;
    if (length < 0 || length > limit - from || !this.#claim(from - at + length)) return false;
    this.#behind = from + length;
    return this.#characters(from, from + length);
  }

  #characters(from: number, end: number): boolean {
    this.#reserve(end - from > longBytes ? jsonStringBytes(this.#b, from, end) + behindLong : (end - from) * mostBytesOfByte);
    const behind = writeJsonString(this.#w, this.#q, this.#b, from, end);
    if (behind < 0) return false;
    this.#q = behind;
    return true;
  }

  #opaque(at: number, limit: number): boolean {
    if (at >= limit) return false;
    const length = this.#length(at + 1, limit);
    const from = this.#behind;
    if (length < 0 || length > limit - from || !this.#claim(from - at + length)) return false;
    this.#behind = from + length;
    this.#reserve(opaqueRoom(length));
    const behind = writeOpaque(this.#w, this.#q, this.#b[at] as number, this.#b, from, from + length);
    if (behind < 0) return false;
    this.#q = behind;
    return true;
  }

  /** Count and size, the entries of the keys, the entries of the values, then what those point to, all from `at` on. */
  #container(type: number, at: number, limit: number, depth: number, wide: 2 | 4): boolean {
    const b = this.#b;
    const isObject = type === jsonType.smallObject || type === jsonType.largeObject;
    if (depth > mostDepth || limit - at < 2 * wide) return false;
    const count = read(b, at, wide);
    const size = read(b, at + wide, wide);
    const keyEntry = isObject ? wide + 2 : 0;
    const header = 2 * wide + count * (keyEntry + wide + 1);
    if (size > limit - at || header > size || !this.#claim(header)) return false;
    const end = at + size;
    let key = at + 2 * wide;
    let entry = key + count * keyEntry;
    this.#w[this.#q++] = isObject ? 123 : 91;
    for (let index = 0; index < count; index += 1) {
      this.#reserve(0);
      if (index > 0) {
        this.#w[this.#q++] = 44;
        this.#w[this.#q++] = 32;
      }
      if (isObject) {
        if (!this.#key(at, read(b, key, wide), b.readUInt16LE(key + wide), header, size)) return false;
        key += keyEntry;
      }
      const childType = b[entry] as number;
      if (isInlined(childType, wide)) {
        if (!this.#number(childType, entry + 1)) return false;
      } else {
        const offset = read(b, entry + 1, wide);
        if (offset < header || offset > size || !this.#value(childType, at + offset, end, depth + 1)) return false;
      }
      entry += wide + 1;
    }
    this.#reserve(0);
    this.#w[this.#q++] = isObject ? 125 : 93;
    this.#behind = end;
    return true;
  }

  #key(container: number, offset: number, length: number, header: number, size: number): boolean {
    if (offset < header || offset + length > size || !this.#claim(length)) return false;
    if (!this.#characters(container + offset, container + offset + length)) return false;
    this.#w[this.#q++] = 58;
    this.#w[this.#q++] = 32;
    return true;
  }
}

const none = Buffer.alloc(0);
const writer = new DocumentWriter();

const read = (b: Buffer, at: number, wide: 2 | 4): number => (wide === 2 ? b.readUInt16LE(at) : b.readUInt32LE(at));
