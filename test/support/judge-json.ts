/** What a binary JSON document says, read by the book and independently of the product: plain recursion, every place checked. */
import type { Node } from './judge-envelope.ts';

/** A value whose text only the server knows to spell: DECIMAL, temporals, binary. */
const opaque = Symbol('opaque');
export type JudgedJson =
  | null
  | boolean
  | number
  | bigint
  | string
  | typeof opaque
  | readonly JudgedJson[]
  | ReadonlyMap<string, JudgedJson>;

class Broken extends Error {}

/** Undefined: it is broken for sure. What it answers may still be refused: the server stores nothing twice and wastes no byte. */
export function judgeJson(b: Buffer): JudgedJson | undefined {
  try {
    return b.length === 0 ? null : valueOf(b, b[0] as number, 1, 0);
  } catch (error) {
    if (error instanceof Broken || error instanceof RangeError || error instanceof TypeError) return undefined;
    throw error;
  }
}

const mostDepth = 100;

function valueOf(b: Buffer, type: number, at: number, depth: number): JudgedJson {
  if (type <= 3) return containerOf(b, type, at, depth + 1);
  switch (type) {
    case 4:
      return literalOf(b.readUInt8(at));
    case 5:
      return b.readInt16LE(at);
    case 6:
      return b.readUInt16LE(at);
    case 7:
      return b.readInt32LE(at);
    case 8:
      return b.readUInt32LE(at);
    case 9:
      return b.readBigInt64LE(at);
    case 10:
      return b.readBigUInt64LE(at);
    case 11:
      return finite(b.readDoubleLE(at));
    case 12:
      return strict.decode(sized(b, at));
    case 15:
      sized(b, at + 1);
      return opaque;
    default:
      throw new Broken('no such type');
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function finite(value: number): number {
  if (!Number.isFinite(value)) throw new Broken('no number');
  return value;
}

function literalOf(byte: number): null | boolean {
  if (byte > 2) throw new Broken('no such literal');
  return byte === 0 ? null : byte === 1;
}

/** Bytes behind a length of seven bits a byte. */
function sized(b: Buffer, from: number): Buffer {
  let length = 0;
  let at = from;
  for (let scale = 1; ; scale *= 128) {
    const byte = b.readUInt8(at);
    at += 1;
    length += (byte & 127) * scale;
    if (byte < 128) break;
    if (at - from > 4) throw new Broken('a length without end');
  }
  if (at + length > b.length) throw new Broken('longer than the document');
  return b.subarray(at, at + length);
}

function containerOf(b: Buffer, type: number, at: number, depth: number): JudgedJson {
  if (depth > mostDepth) throw new Broken('too deep');
  const wide = type % 2 === 1 ? 4 : 2;
  const isObject = type < 2;
  const [count, size] = [b.readUIntLE(at, wide), b.readUIntLE(at + wide, wide)];
  const part = b.subarray(at, at + size);
  if (part.length !== size || 2 * wide + count * (wide + 1 + (isObject ? wide + 2 : 0)) > size) throw new Broken('a container is cut');
  const entriesAt = 2 * wide + (isObject ? count * (wide + 2) : 0);
  const items = Array.from({ length: count }, (_, index): JudgedJson => {
    const entry = entriesAt + index * (wide + 1);
    const kind = part.readUInt8(entry);
    const isInside = kind === 4 || kind === 5 || kind === 6 || (wide === 4 && (kind === 7 || kind === 8));
    return valueOf(part, kind, isInside ? entry + 1 : part.readUIntLE(entry + 1, wide), depth);
  });
  if (!isObject) return items;
  return new Map(
    items.map((item, index) => {
      const entry = 2 * wide + index * (wide + 2);
      const [keyAt, keyBytes] = [part.readUIntLE(entry, wide), part.readUInt16LE(entry + wide)];
      if (keyAt + keyBytes > size) throw new Broken('a key lies outside');
      return [strict.decode(part.subarray(keyAt, keyAt + keyBytes)), item];
    }),
  );
}

/** Whether a text that was parsed by the book says the same. */
export function saysTheSame(node: Node, judged: JudgedJson): boolean {
  if (judged === opaque) return typeof node === 'string' || (typeof node === 'object' && node !== null && 'number' in node);
  if (judged === null || typeof judged === 'boolean' || typeof judged === 'string') return node === judged;
  if (typeof node !== 'object' || node === null) return false;
  if (typeof judged === 'bigint') return 'number' in node && node.number === judged.toString();
  if (typeof judged === 'number') return 'number' in node && Object.is(Number(node.number), judged);
  if (judged instanceof Map) {
    if (!(node instanceof Map) || node.size !== judged.size) return false;
    return [...judged].every(([key, item]) => node.has(key) && saysTheSame(node.get(key) as Node, item as JudgedJson));
  }
  const items = judged as readonly JudgedJson[];
  return (
    Array.isArray(node) && node.length === items.length && items.every((item, index) => saysTheSame((node as Node[])[index] as Node, item))
  );
}
