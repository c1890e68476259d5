/** MySQL's binary JSON made from trees, by the format's own rules: for tests that need documents without a server. */

/** `[type, payload]`: any value that is no object, array or string. */
export interface Raw {
  readonly type: number;
  readonly bytes: Buffer;
  /** How the server prints it. */
  readonly text: string;
}
export type Tree = Raw | string | readonly Tree[] | ReadonlyMap<string, Tree>;

const isRaw = (tree: Tree): tree is Raw => typeof tree === 'object' && 'bytes' in tree;
export const raw = (type: number, hex: string, text: string): Raw => ({ type, bytes: Buffer.from(hex.replace(/\s/g, ''), 'hex'), text });
export const int = (value: number): Raw => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  const isSmall = value >= -32768 && value <= 32767;
  return { type: isSmall ? 5 : 7, bytes: isSmall ? bytes.subarray(0, 2) : bytes, text: String(value) };
};

/** What the server prints. */
export function treeText(tree: Tree): string {
  if (typeof tree === 'string') return JSON.stringify(tree);
  if (isRaw(tree)) return tree.text;
  if (tree instanceof Map)
    return `{${sorted(tree)
      .map(([key, item]) => `${JSON.stringify(key)}: ${treeText(item)}`)
      .join(', ')}}`;
  return `[${[...(tree as readonly Tree[])].map(treeText).join(', ')}]`;
}

const sorted = (map: ReadonlyMap<string, Tree>): [string, Tree][] =>
  [...map].toSorted(
    ([one], [other]) => Buffer.byteLength(one) - Buffer.byteLength(other) || Buffer.compare(Buffer.from(one), Buffer.from(other)),
  );

export function lengthBytes(length: number): Buffer {
  const bytes: number[] = [];
  let rest = length;
  do {
    bytes.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** The whole document. `large`: objects and arrays in the format with four bytes for each offset. */
export const treeBytes = (tree: Tree, large = false): Buffer => Buffer.concat([Buffer.from([typeOf(tree, large)]), payload(tree, large)]);

function typeOf(tree: Tree, large: boolean): number {
  if (typeof tree === 'string') return 12;
  if (isRaw(tree)) return tree.type;
  return (tree instanceof Map ? 0 : 2) + (large ? 1 : 0);
}

function payload(tree: Tree, large: boolean): Buffer {
  if (typeof tree === 'string') return Buffer.concat([lengthBytes(Buffer.byteLength(tree)), Buffer.from(tree)]);
  if (isRaw(tree)) return tree.bytes;
  const wide = large ? 4 : 2;
  const members = tree instanceof Map ? sorted(tree) : [];
  const items = tree instanceof Map ? members.map(([, item]) => item) : [...(tree as readonly Tree[])];
  const keys = members.map(([key]) => Buffer.from(key));
  const header = Buffer.alloc(2 * wide + keys.length * (wide + 2) + items.length * (wide + 1));
  const parts: Buffer[] = [header];
  let size = header.length;
  const append = (part: Buffer) => {
    parts.push(part);
    size += part.length;
  };
  let at = 2 * wide;
  for (const key of keys) {
    header.writeUIntLE(size, at, wide);
    header.writeUInt16LE(key.length, at + wide);
    at += wide + 2;
    append(key);
  }
  for (const item of items) {
    const type = typeOf(item, large);
    header[at] = type;
    if (isRaw(item) && type >= 4 && type <= (large ? 8 : 6)) item.bytes.copy(header, at + 1);
    else {
      header.writeUIntLE(size, at + 1, wide);
      append(payload(item, large));
    }
    at += wide + 1;
  }
  header.writeUIntLE(items.length, 0, wide);
  header.writeUIntLE(size, wide, wide);
  return Buffer.concat(parts);
}

/** The operations of a partial update. */
export const replace = 0;
export const insert = 1;
export const remove = 2;
export type Change = readonly [operation: number, path: string, value?: Tree];

function packed(bytes: Buffer): Buffer {
  const { length } = bytes;
  if (length < 251) return Buffer.concat([Buffer.from([length]), bytes]);
  if (length < 65_536) return Buffer.concat([Buffer.from([252, length & 255, length >> 8]), bytes]);
  return Buffer.concat([Buffer.from([253, length & 255, (length >> 8) & 255, length >> 16]), bytes]);
}
/** Changes as PARTIAL_UPDATE_ROWS has them, without their length. */
export const changeBytes = (changes: readonly Change[]): Buffer =>
  Buffer.concat(
    changes.flatMap(([operation, path, value]) => [
      Buffer.from([operation]),
      packed(Buffer.from(path)),
      ...(value === undefined ? [] : [packed(treeBytes(value))]),
    ]),
  );
