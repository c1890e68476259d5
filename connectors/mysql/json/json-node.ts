/** Objects and arrays of a binary JSON document taken apart, so that they can change, and put together again. */
import { fixedBytes, isInlined, jsonType } from './json-format.ts';

/** A value as it is stored, without its type byte. Small values that were in an entry have the entry's bytes; behind larger ones there may be others. */
export interface StoredValue {
  readonly type: number;
  readonly bytes: Buffer;
}
/** Keys are latin1 texts of their UTF-8 bytes, so that comparing them compares bytes. */
export interface ObjectNode {
  readonly members: Map<string, JsonNode>;
}
export interface ArrayNode {
  readonly items: JsonNode[];
}
export type JsonNode = StoredValue | ObjectNode | ArrayNode;

/** Thrown where a document or its changes are not what a server writes; the caller knows table and place. */
export class BrokenPatch extends Error {}

/** Only the object or array itself; what it holds stays as it is stored. Throws BrokenPatch for anything else. */
export function takeApart({ type, bytes }: StoredValue): ObjectNode | ArrayNode {
  if (type > jsonType.largeArray) throw new BrokenPatch();
  const isObject = type === jsonType.smallObject || type === jsonType.largeObject;
  const wide = type === jsonType.smallObject || type === jsonType.smallArray ? 2 : 4;
  if (bytes.length < 2 * wide) throw new BrokenPatch();
  const read = (at: number) => bytes.readUIntLE(at, wide);
  const count = read(0);
  const size = read(wide);
  const keyEntry = isObject ? wide + 2 : 0;
  const entries = 2 * wide + count * keyEntry;
  const header = entries + count * (wide + 1);
  if (size > bytes.length || header > size) throw new BrokenPatch();
  const value = (entry: number): StoredValue => {
    const type = bytes[entry] as number;
    if (isInlined(type, wide)) return { type, bytes: bytes.subarray(entry + 1, entry + 1 + wide) };
    const offset = read(entry + 1);
    if (offset < header || offset > size) throw new BrokenPatch();
    return { type, bytes: bytes.subarray(offset, size) };
  };
  const items = Array.from({ length: count }, (_, index) => value(entries + index * (wide + 1)));
  if (!isObject) return { items };
  const members = new Map<string, JsonNode>();
  for (const [index, item] of items.entries()) {
    const at = 2 * wide + index * keyEntry;
    const from = read(at);
    const to = from + bytes.readUInt16LE(at + wide);
    const key = bytes.toString('latin1', from, to);
    if (from < header || to > size || members.has(key)) throw new BrokenPatch();
    members.set(key, item);
  }
  return { members };
}

/** The value of a whole document, type byte and all: an empty one is null, as the server reads it. */
export function wholeValue(document: Buffer): StoredValue {
  if (document.length === 0) return { type: jsonType.literal, bytes: Buffer.alloc(1) };
  const value = { type: document[0] as number, bytes: document.subarray(1) };
  if (sizeOf(value) !== value.bytes.length) throw new BrokenPatch();
  return value;
}

/** Bytes that a value takes where it is stored outside of an entry. */
function sizeOf({ type, bytes }: StoredValue): number {
  const fixed = fixedBytes[type];
  if (fixed !== undefined) return fixed;
  switch (type) {
    case jsonType.smallObject:
    case jsonType.smallArray:
      return bytes.length < 4 ? Infinity : bytes.readUInt16LE(2);
    case jsonType.largeObject:
    case jsonType.largeArray:
      return bytes.length < 8 ? Infinity : bytes.readUInt32LE(4);
    case jsonType.string:
      return lengthAndBytes(bytes, 0);
    case jsonType.opaque:
      return lengthAndBytes(bytes, 1);
    default:
      throw new BrokenPatch();
  }
}

/** Seven bits of the length a byte, the lowest first; the last has its high bit clear. */
function lengthAndBytes(bytes: Buffer, from: number): number {
  let length = 0;
  for (let index = 0; index < 5; index += 1) {
    const byte = bytes[from + index];
    if (byte === undefined) break;
    length += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return from + index + 1 + length;
  }
  throw new BrokenPatch();
}

const isStored = (node: JsonNode): node is StoredValue => 'bytes' in node;
const typeOf = (node: JsonNode): number => (isStored(node) ? node.type : 'items' in node ? jsonType.largeArray : jsonType.largeObject);
const byStoredOrder = ([one]: readonly [string, JsonNode], [other]: readonly [string, JsonNode]): number =>
  one.length - other.length || (one < other ? -1 : 1);

/** The document with its type byte in front. What was taken apart is put together in the large format, whatever it was in. */
export function encodeDocument(node: JsonNode): Buffer {
  const sizes = new Map<JsonNode, number>();
  const document = Buffer.alloc(1 + measure(node, sizes));
  document[0] = typeOf(node);
  encode(node, sizes, document, 1);
  return document;
}

function measure(node: JsonNode, sizes: Map<JsonNode, number>): number {
  let size = 8;
  if (isStored(node)) size = sizeOf(node);
  else if ('items' in node) for (const item of node.items) size += 5 + outside(item, sizes);
  else for (const [key, item] of node.members) size += 11 + key.length + outside(item, sizes);
  if (isStored(node) && size > node.bytes.length) throw new BrokenPatch();
  sizes.set(node, size);
  return size;
}

const outside = (item: JsonNode, sizes: Map<JsonNode, number>): number => (isInlined(typeOf(item), 4) ? 0 : measure(item, sizes));

/** Writes the value at `at`, where there is room for its measured size. */
function encode(node: JsonNode, sizes: ReadonlyMap<JsonNode, number>, to: Buffer, at: number): void {
  const size = sizes.get(node) ?? 0;
  if (isStored(node)) {
    node.bytes.copy(to, at, 0, size);
    return;
  }
  const members = 'members' in node ? [...node.members].toSorted(byStoredOrder) : [];
  const items = 'items' in node ? node.items : members.map(([, item]) => item);
  to.writeUInt32LE(items.length, at);
  to.writeUInt32LE(size, at + 4);
  let entry = at + 8 + members.length * 6;
  let next = entry + items.length * 5;
  for (const [index, [key]] of members.entries()) {
    to.writeUInt32LE(next - at, at + 8 + index * 6);
    to.writeUInt16LE(key.length, at + 12 + index * 6);
    next += to.write(key, next, 'latin1');
  }
  for (const item of items) {
    const type = typeOf(item);
    to[entry] = type;
    if (isStored(item) && isInlined(type, 4)) item.bytes.copy(to, entry + 1, 0, 4);
    else {
      to.writeUInt32LE(next - at, entry + 1);
      encode(item, sizes, to, next);
      next += sizes.get(item) ?? 0;
    }
    entry += 5;
  }
}
